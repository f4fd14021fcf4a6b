// The log's tools for Python: plain tuples and dicts. Errors of the log come out as LogError, which module.cpp names.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "exchange/log_tools.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

constexpr std::size_t kMostAtOnce = 65'536;

const char* name_of(exchange::LogReader::Stop stop) {
  using Stop = exchange::LogReader::Stop;
  switch (stop) {
    case Stop::none:
      return "";
    case Stop::end:
      return "end";
    case Stop::unfinished:
      return "unfinished";
    case Stop::damaged:
      return "damaged";
    case Stop::unreadable:
      return "unreadable";
  }
  return "";
}

const char* name_of(exchange::LogProblem::Kind kind) {
  using Kind = exchange::LogProblem::Kind;
  switch (kind) {
    case Kind::torn_tail:
      return "torn_tail";
    case Kind::record:
      return "record";
    case Kind::segment:
      return "segment";
    case Kind::snapshot:
      return "snapshot";
    case Kind::stuck:
      return "stuck";
  }
  return "";
}

nb::tuple record_tuple(const exchange::LogRecord& record) {
  const exchange::Command& command = record.command;
  const std::string_view cl_ord_id = command.cl_ord_id.view();
  return nb::make_tuple(record.seq_num, record.epoch, record.batch_first_seq, command.ts_ns, static_cast<int>(command.kind),
                        static_cast<int>(command.side), static_cast<int>(command.ord_type), static_cast<int>(command.tif),
                        static_cast<int>(command.stp), static_cast<int>(command.state), command.firm, command.instrument,
                        command.price_ticks, command.qty, command.stop_price_ticks, command.order_id,
                        nb::str(cl_ord_id.data(), cl_ord_id.size()), record.crc);
}

nb::list next_batch(exchange::LogReader& reader, std::size_t most) {
  std::vector<exchange::LogRecord> records(std::min(most, kMostAtOnce));
  std::size_t got = 0;
  {
    const nb::gil_scoped_release released;
    got = reader.next(records);
  }
  nb::list made;
  for (std::size_t i = 0; i < got; ++i) {
    made.append(record_tuple(records[i]));
  }
  return made;
}

nb::dict segment_dict(const exchange::LogSegmentInfo& segment) {
  nb::dict made;
  made["path"] = segment.path;
  made["index"] = segment.index;
  made["first_seq_num"] = segment.first_seq_num;
  made["places"] = segment.places;
  made["epoch"] = segment.epoch;
  made["config_digest"] = segment.config_digest;
  made["records"] = segment.records;
  made["first_record"] = segment.first_record;
  made["last_record"] = segment.last_record;
  made["first_epoch"] = segment.first_epoch;
  made["last_epoch"] = segment.last_epoch;
  made["first_ts_ns"] = segment.first_ts_ns;
  made["last_ts_ns"] = segment.last_ts_ns;
  return made;
}

nb::dict problem_dict(const exchange::LogProblem& problem) {
  nb::dict made;
  made["kind"] = name_of(problem.kind);
  made["segment"] = problem.segment;
  made["offset"] = problem.offset;
  made["seq_num"] = problem.seq_num;
  made["last_seq_num"] = problem.last_seq_num;
  made["what"] = problem.what;
  made["start_goes_on"] = problem.start_goes_on();
  made["met_by_start"] = problem.met_by_start;
  return made;
}

nb::dict snapshot_dict(const exchange::LogSnapshot& snapshot) {
  nb::dict made;
  made["path"] = snapshot.path;
  made["seq_num"] = snapshot.seq_num;
  made["wrong"] = snapshot.wrong;
  made["in_log"] = snapshot.in_log;
  return made;
}

nb::list list_of(const std::vector<std::string>& texts) {
  nb::list made;
  for (const std::string& text : texts) {
    made.append(text);
  }
  return made;
}

nb::dict log_verify(const std::string& dir) {
  exchange::LogVerifyReport report;
  {
    const nb::gil_scoped_release released;
    report = exchange::verify_log(dir);
  }
  nb::list segments;
  for (const exchange::LogSegmentInfo& segment : report.segments) {
    segments.append(segment_dict(segment));
  }
  nb::list problems;
  for (const exchange::LogProblem& problem : report.problems) {
    problems.append(problem_dict(problem));
  }
  nb::list snapshots;
  for (const exchange::LogSnapshot& snapshot : report.snapshots) {
    snapshots.append(snapshot_dict(snapshot));
  }
  nb::dict made;
  made["segments"] = segments;
  made["snapshots"] = snapshots;
  made["problems"] = problems;
  made["problems_left_off"] = report.problems_left_off;
  made["records"] = report.records;
  made["last_seq_num"] = report.last_seq_num;
  made["in_use"] = report.in_use;
  made["starts"] = report.starts();
  made["history_damaged"] = report.history_damaged();
  made["start_behind"] = report.start_behind;
  made["start_last_seq_num"] = report.start_last_seq_num;
  return made;
}

nb::dict plan_dict(const exchange::LogRepairPlan& plan) {
  nb::list lost;
  for (const auto& [from, to] : plan.lost) {
    lost.append(nb::make_tuple(from, to));
  }
  nb::dict made;
  made["needed"] = plan.needed;
  made["possible"] = plan.possible;
  made["reason"] = plan.reason;
  made["history_damaged"] = plan.history_damaged;
  made["cut_from"] = plan.cut_from;
  made["lost_records"] = plan.lost_records;
  made["lost"] = lost;
  made["zeroed"] = plan.zeroed;
  made["removed"] = list_of(plan.removed);
  made["snapshots"] = list_of(plan.snapshots);
  made["mended"] = list_of(plan.mended);
  return made;
}

nb::dict log_plan_repair(const std::string& dir) {
  exchange::LogRepairPlan plan;
  {
    const nb::gil_scoped_release released;
    plan = exchange::plan_repair(dir);
  }
  return plan_dict(plan);
}

nb::dict log_repair(const std::string& dir, const std::string& stamp, std::optional<std::uint64_t> cut_from) {
  exchange::LogRepairPlan plan;
  {
    const nb::gil_scoped_release released;
    plan = exchange::plan_repair(dir);
    if (cut_from && plan.cut_from != *cut_from) {
      throw exchange::LogError(dir + ": a repair would cut from seq_num " + std::to_string(plan.cut_from) + " now, not from " +
                               std::to_string(*cut_from) + "; nothing was changed. Look at the plan again");
    }
    exchange::repair_log(dir, plan, stamp);
  }
  return plan_dict(plan);
}

nb::object log_record_crc(const std::string& dir, std::uint64_t seq_num) {
  const auto crc = exchange::record_crc_at(dir, seq_num);
  return crc ? nb::object(nb::int_(*crc)) : nb::none();
}

}  // namespace

void bind_log(nb::module_& m) {
  m.def("log_verify", &log_verify, "dir"_a);
  m.def("log_plan_repair", &log_plan_repair, "dir"_a);
  m.def("log_repair", &log_repair, "dir"_a, "stamp"_a, "cut_from"_a = nb::none());
  m.def("log_record_crc", &log_record_crc, "dir"_a, "seq_num"_a);
  nb::class_<exchange::LogReader>(m, "LogReader")
      .def(nb::init<std::string, std::uint64_t>(), "dir"_a, "from_seq_num"_a = 1)
      .def("next_batch", &next_batch, "n"_a)
      .def("check_tail", &exchange::LogReader::check_tail, nb::call_guard<nb::gil_scoped_release>())
      .def_prop_ro("next_seq_num", &exchange::LogReader::next_seq_num)
      .def_prop_ro("config_digest", &exchange::LogReader::config_digest)
      .def_prop_ro("stop", [](const exchange::LogReader& reader) { return name_of(reader.stop()); })
      .def_prop_ro("stop_text", [](const exchange::LogReader& reader) { return reader.stop_text(); });
}
