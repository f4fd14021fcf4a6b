// engine._core.Core: the data plane, started and watched from Python. Converts values and names errors; decides nothing.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <string>
#include <system_error>
#include <utility>

#include "bindings.hpp"
#include "convert.hpp"
#include "exchange/codec.hpp"
#include "exchange/core.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

exchange::AckPolicy ack_policy_of(const std::string& name) {
  if (name == "memory") {
    return exchange::AckPolicy::memory;
  }
  if (name == "device") {
    return exchange::AckPolicy::device;
  }
  if (name == "replicated") {
    return exchange::AckPolicy::replicated;
  }
  throw nb::value_error("ack_policy must be 'memory', 'device' or 'replicated'");
}

void make_core(exchange::Core* at, const nb::object& config, const std::string& log_dir, const std::string& ack_policy, std::uint64_t epoch,
               std::uint64_t segment_records, std::uint64_t instruments_digest, const std::string& link_key, bool pin_threads) {
  if (link_key.size() > exchange::kMaxLinkKeyLength) {
    throw nb::value_error("link_key is longer than a hello can carry");
  }
  new (at) exchange::Core({log_dir, binding::config_of(config), ack_policy_of(ack_policy), epoch, segment_records, instruments_digest,
                           link_key, pin_threads});
}

nb::dict core_recover(exchange::Core& core) {
  exchange::CoreRecovery found;
  {
    const nb::gil_scoped_release released;
    found = core.recover();
  }
  nb::dict made;
  made["records"] = found.log.records;
  made["last_seq_num"] = found.log.last_seq_num;
  made["torn_records_cut"] = found.log.torn_records_cut;
  made["segments"] = found.log.segments;
  made["elapsed_us"] = found.log.elapsed_us;
  made["snapshot_seq_num"] = found.snapshot_seq_num;
  nb::list warnings;
  for (const std::string& warning : found.warnings) {
    warnings.append(warning);
  }
  made["warnings"] = warnings;
  nb::list torn;
  for (const exchange::TornCut& cut : found.torn) {
    torn.append(nb::make_tuple(cut.partition, cut.from_seq, cut.to_seq));
  }
  made["torn"] = torn;
  return made;
}

std::uint16_t core_listen(exchange::Core& core, const std::string& host, std::uint16_t port) {
  try {
    const nb::gil_scoped_release released;
    return core.listen(host, port);
  } catch (const std::system_error& error) {
    const nb::object args = nb::make_tuple(error.code().value(), error.what());
    PyErr_SetObject(PyExc_OSError, args.ptr());
    throw nb::python_error();
  }
}

void put_stats(nb::dict& made, const exchange::PartitionStats& stats) {
  made["seq_num"] = stats.seq_num;
  made["written_seq_num"] = stats.written_seq_num;
  made["durable_seq_num"] = stats.durable_seq_num;
  made["commands"] = stats.commands;
  made["trades"] = stats.trades;
  made["rejects"] = stats.rejects;
  made["queue_depth"] = stats.queue_depth;
  made["live_orders"] = stats.live_orders;
  made["last_tick_ns"] = stats.last_tick_ns;
  made["state_hash"] = stats.state_hash;
}

exchange::CoreStats stats_of(const exchange::Core& core, bool with_state_hash) {
  const nb::gil_scoped_release released;
  return core.stats(with_state_hash);
}

nb::dict core_stats(const exchange::Core& core, bool with_state_hash) {
  const exchange::CoreStats stats = stats_of(core, with_state_hash);
  nb::dict made;
  put_stats(made, stats);
  made["links"] = stats.links;
  made["log_healthy"] = stats.log_healthy ? 1 : 0;
  made["running"] = stats.running ? 1 : 0;
  made["epoch"] = stats.epoch;
  return made;
}

nb::list core_partition_stats(const exchange::Core& core, bool with_state_hash) {
  nb::list all;
  for (const exchange::PartitionStats& one : stats_of(core, with_state_hash).partitions) {
    nb::dict made;
    put_stats(made, one);
    all.append(made);
  }
  return all;
}

const char* core_log_fault(const exchange::Core& core) {
  const exchange::LogFault fault = core.stats(false).log_fault;
  return fault == exchange::LogFault::none ? "" : exchange::fault_text(fault);
}

}  // namespace

void bind_core(nb::module_& m) {
  nb::class_<exchange::Core>(m, "Core")
      .def("__init__", &make_core, nb::kw_only(), "config"_a, "log_dir"_a, "ack_policy"_a = "device", "epoch"_a = 1,
           "segment_records"_a = 262144, "instruments_digest"_a = 0, "link_key"_a = "", "pin_threads"_a = false)
      .def("recover", &core_recover)
      .def("listen", &core_listen, "host"_a, "port"_a)
      .def("start", &exchange::Core::start)
      .def("stop", &exchange::Core::stop, nb::call_guard<nb::gil_scoped_release>())
      .def("stats", &core_stats, "with_state_hash"_a = true)
      .def("partition_stats", &core_partition_stats, "with_state_hash"_a = true)
      .def("log_fault", &core_log_fault);
}
