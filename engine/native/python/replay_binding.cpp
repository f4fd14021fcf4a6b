// engine._core: replay, snapshots, and a writer of sample logs. Converts values; decides nothing.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "convert.hpp"
#include "exchange/config.hpp"
#include "exchange/digest.hpp"
#include "exchange/log.hpp"
#include "exchange/log_tools.hpp"
#include "exchange/replay.hpp"
#include "exchange/snapshot.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using exchange::Replayer;

nb::tuple report_tuple(const exchange::Report& r) {
  return nb::make_tuple(r.exec_id, r.seq_num, r.order_id, r.trade_id, r.contra_order_id, r.firm, r.instrument, static_cast<int>(r.exec_type),
                        static_cast<int>(r.ord_status), static_cast<int>(r.reason), static_cast<int>(r.side), static_cast<int>(r.ord_type),
                        static_cast<int>(r.tif), static_cast<int>(r.liquidity), r.stop_price_ticks, r.price_ticks, r.last_px_ticks, r.last_qty,
                        r.order_qty, r.cum_qty, r.leaves_qty, r.cum_notional, r.value, r.limit);
}

nb::tuple command_tuple(const exchange::Command& c) {
  const std::string_view cl_ord_id = c.cl_ord_id.view();
  return nb::make_tuple(static_cast<int>(c.kind), static_cast<int>(c.side), static_cast<int>(c.ord_type), static_cast<int>(c.tif),
                        static_cast<int>(c.stp), static_cast<int>(c.state), c.firm, c.instrument, c.price_ticks, c.qty, c.stop_price_ticks,
                        c.order_id, c.ts_ns, nb::str(cl_ord_id.data(), cl_ord_id.size()));
}

exchange::Command command_of(const nb::handle& from) {
  exchange::Command c;
  c.kind = static_cast<exchange::CommandKind>(nb::cast<std::uint8_t>(from[0]));
  c.side = static_cast<exchange::Side>(nb::cast<std::uint8_t>(from[1]));
  c.ord_type = static_cast<exchange::OrdType>(nb::cast<std::uint8_t>(from[2]));
  c.tif = static_cast<exchange::TimeInForce>(nb::cast<std::uint8_t>(from[3]));
  c.stp = static_cast<exchange::StpMode>(nb::cast<std::uint8_t>(from[4]));
  c.state = static_cast<exchange::SessionState>(nb::cast<std::uint8_t>(from[5]));
  c.firm = nb::cast<std::uint32_t>(from[6]);
  c.instrument = nb::cast<std::uint32_t>(from[7]);
  c.price_ticks = nb::cast<std::int64_t>(from[8]);
  c.qty = nb::cast<std::int64_t>(from[9]);
  c.stop_price_ticks = nb::cast<std::int64_t>(from[10]);
  c.order_id = nb::cast<std::uint64_t>(from[11]);
  c.ts_ns = nb::cast<std::int64_t>(from[12]);
  const auto cl_ord_id = exchange::ClOrdId::parse(nb::cast<std::string>(from[13]));
  if (!cl_ord_id || !exchange::well_formed(c)) {
    throw nb::value_error("a command that is not well formed is never logged");
  }
  c.cl_ord_id = *cl_ord_id;
  return c;
}

nb::tuple place_tuple(const exchange::ReplayPlace& place) {
  return nb::make_tuple(place.seq_num, place.epoch, place.ts_ns, place.record_crc);
}

nb::object place_or_none(const std::optional<exchange::ReplayPlace>& place) {
  return place ? nb::object(place_tuple(*place)) : nb::object(nb::none());
}

std::vector<std::string> seek(Replayer& replayer, std::optional<exchange::SeqNum> seq_num, std::optional<exchange::TimeNs> ts_ns) {
  exchange::SnapshotLimit limit;
  limit.seq_num = seq_num.value_or(limit.seq_num);
  limit.ts_ns = ts_ns.value_or(limit.ts_ns);
  const nb::gil_scoped_release released;
  return replayer.seek(limit);
}

nb::tuple run(Replayer& replayer, std::optional<exchange::SeqNum> seq_num, std::optional<exchange::TimeNs> ts_ns,
              std::optional<std::uint64_t> records, bool everything, exchange::OrderId order_id, std::uint64_t exec_types,
              std::uint64_t command_kinds, std::size_t most) {
  exchange::ReplayStop stop;
  stop.seq_num = seq_num.value_or(stop.seq_num);
  stop.ts_ns = ts_ns.value_or(stop.ts_ns);
  stop.records = records.value_or(stop.records);
  exchange::ReplayRun done;
  {
    const nb::gil_scoped_release released;
    done = replayer.run(stop, {everything, order_id, exec_types, command_kinds, most});
  }
  return nb::make_tuple(done.records, done.reports, done.more);
}

nb::list take_kept(Replayer& replayer) {
  nb::list made;
  for (const exchange::KeptReport& kept : replayer.take_kept()) {
    made.append(nb::make_tuple(report_tuple(kept.report), command_tuple(kept.command)));
  }
  return made;
}

nb::dict snapshot_dict(const exchange::SnapshotInfo& info) {
  nb::dict made;
  made["path"] = info.path;
  made["seq_num"] = info.seq_num;
  made["epoch"] = info.epoch;
  made["ts_ns"] = info.ts_ns;
  made["record_crc"] = info.record_crc;
  made["state_hash"] = info.state_hash;
  return made;
}

nb::dict make_snapshot(Replayer& replayer, std::size_t keep) {
  exchange::MadeSnapshot result;
  {
    const nb::gil_scoped_release released;
    result = exchange::make_snapshot(replayer, keep);
  }
  nb::dict made = result.newest ? snapshot_dict(*result.newest) : nb::dict();
  made["is_new"] = result.is_new;
  made["records"] = result.records;
  made["warnings"] = result.warnings;
  return made;
}

std::uint64_t log_config_digest(const nb::handle& config, std::uint64_t instruments_digest) {
  exchange::Digest digest;  // as Core does it
  digest.word(exchange::config_digest(binding::config_of(config)));
  digest.word(instruments_digest);
  return digest.value();
}

nb::list find_commands(const std::string& log_dir, std::uint64_t config_digest, std::uint64_t command_kinds) {
  std::vector<exchange::FoundCommand> found;
  {
    const nb::gil_scoped_release released;
    found = exchange::find_commands(log_dir, config_digest, command_kinds);
  }
  nb::list made;
  for (const exchange::FoundCommand& one : found) {
    made.append(nb::make_tuple(one.seq_num, command_tuple(one.command)));
  }
  return made;
}

// A log as a core leaves it, without a core.
class LogWriter {
 public:
  LogWriter(const std::string& log_dir, std::uint64_t config_digest, std::uint64_t epoch, std::uint64_t segment_records)
      : log_({log_dir, exchange::AckPolicy::memory, epoch, config_digest, segment_records}) {
    (void)log_.recover({}, [](const exchange::LogRecord&) {});
  }

  // The seq_num of the last one.
  exchange::SeqNum append(const nb::iterable& commands) {
    std::vector<exchange::Command> batch;
    for (const nb::handle one : commands) {
      batch.push_back(command_of(one));
      if (batch.size() == exchange::kMaxBatch) {
        write(batch);
      }
    }
    write(batch);
    return log_.last_seq_num();
  }
  void close() noexcept { log_.close(); }

 private:
  void write(std::vector<exchange::Command>& batch) {
    if (!batch.empty() && log_.append(batch) != exchange::AppendResult::written) {
      throw exchange::LogError(std::string("the log takes nothing: ") + exchange::fault_text(log_.fault()));
    }
    batch.clear();
  }

  exchange::Log log_;
};

void bind_replayer(nb::module_& m) {
  nb::class_<Replayer>(m, "Replayer")
      .def(
          "__init__",
          [](Replayer* at, const std::string& log_dir, const nb::handle& config, std::uint64_t config_digest) {
            new (at) Replayer(log_dir, binding::config_of(config), config_digest);
          },
          "log_dir"_a, "config"_a, "config_digest"_a)
      .def("begin", &Replayer::begin)
      .def("seek", &seek, nb::kw_only(), "seq_num"_a = nb::none(), "ts_ns"_a = nb::none())
      .def("load", &Replayer::load, "snapshot_path"_a, nb::call_guard<nb::gil_scoped_release>())
      .def("run", &run, nb::kw_only(), "seq_num"_a = nb::none(), "ts_ns"_a = nb::none(), "records"_a = nb::none(), "everything"_a = false,
           "order_id"_a = 0, "exec_types"_a = 0, "command_kinds"_a = 0, "most"_a = exchange::ReportFilter{}.most)
      .def("take_kept", &take_kept)
      .def("want_digest", &Replayer::want_digest, "wanted"_a)
      .def("digest", &Replayer::digest)
      .def("place", [](const Replayer& replayer) { return place_tuple(replayer.place()); })
      .def("next_place", [](Replayer& replayer) { return place_or_none(replayer.next_place()); })
      .def("first_place", [](const Replayer& replayer) { return place_or_none(replayer.first_place()); })
      .def("last_place", [](const Replayer& replayer) { return place_or_none(replayer.last_place()); })
      .def("engine", &Replayer::engine, nb::rv_policy::reference_internal)
      .def("make_snapshot", &make_snapshot, "keep"_a = exchange::kSnapshotsKept);
}

}  // namespace

void bind_replay(nb::module_& m) {
  nb::exception<exchange::SnapshotError> const snapshot_error(m, "SnapshotError");
  bind_replayer(m);
  nb::class_<LogWriter>(m, "LogWriter")
      .def(nb::init<const std::string&, std::uint64_t, std::uint64_t, std::uint64_t>(), "log_dir"_a, "config_digest"_a, "epoch"_a = 1,
           "segment_records"_a = 262144)
      .def("append", &LogWriter::append, "commands"_a)
      .def("close", &LogWriter::close);
  m.def("log_config_digest", &log_config_digest, "config"_a, "instruments_digest"_a);
  m.def("find_commands", &find_commands, "log_dir"_a, "config_digest"_a, "command_kinds"_a);
  m.def("list_snapshots", &exchange::list_snapshots, "log_dir"_a);
  m.def(
      "read_snapshot", [](const std::string& path) { return snapshot_dict(exchange::read_snapshot_header(path)); }, "path"_a);
}
