#include "exchange/core.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <thread>
#include <utility>

#include "core_link.hpp"
#include "core_threads.hpp"
#include "exchange/digest.hpp"
#include "exchange/engine.hpp"

namespace exchange {

namespace {

namespace fs = std::filesystem;

std::string partition_dir(const std::string& log_dir, std::uint32_t partition, std::uint32_t partitions) {
  if (partitions == 1) {
    return log_dir;
  }
  std::array<char, 16> name{};
  (void)std::snprintf(name.data(), name.size(), "partition-%02u", partition);
  return log_dir + "/" + name.data();
}

LogConfig log_config(const CoreConfig& config, std::uint32_t partition, std::uint64_t engine_digest) {
  Digest digest;
  digest.word(engine_digest);
  digest.word(config.instruments_digest);
  return {partition_dir(config.log_dir, partition, config.engine.partitions), config.ack_policy, config.epoch, digest.value(),
          config.segment_records};
}

void check(const CoreConfig& config) {
  if (config.engine.partition != 0) {
    throw std::invalid_argument("partition: a core has all of them, so it is 0");
  }
  check_config(config.engine);
}

bool holds_segments(const fs::path& dir) {
  std::error_code ignored;
  return std::any_of(fs::directory_iterator(dir, ignored), fs::directory_iterator(),
                     [](const fs::directory_entry& entry) { return entry.path().extension() == ".log"; });
}

// How many partitions the folder was made for: 0 for a new one. Their folders are made before any of their logs, so
// that fewer folders without a log are a first start that was cut short.
std::uint32_t partitions_in(const std::string& log_dir) {
  std::error_code ignored;
  if (holds_segments(log_dir)) {
    return 1;
  }
  std::uint32_t found = 2;  // a single one has no folder of its own
  bool any_log = false;
  for (std::uint32_t i = 0; i < kMaxPartitions; ++i) {  // all of them: one may be gone
    const std::string dir = partition_dir(log_dir, i, kMaxPartitions);
    if (fs::exists(dir, ignored)) {
      any_log = any_log || holds_segments(dir);
      found = std::max(found, i + 1);
    }
  }
  return any_log ? found : 0;
}

// The number of partitions is part of what an order id means, and a folder of another number would look empty.
void check_layout(const CoreConfig& config) {
  const std::uint32_t wanted = config.engine.partitions;
  const std::uint32_t found = partitions_in(config.log_dir);
  if (found != 0 && found != wanted) {
    throw LogError(config.log_dir + " holds a log of " + std::to_string(found) + " partition(s), not of " + std::to_string(wanted) +
                   ": their number is fixed for the life of a log; start with that number, or with a new log folder; if a partition's " +
                   "folder is gone, restore it",
                   LogCause::settings);
  }
}

// Started empty beside partitions that hold records, one would give out the ids of its lost orders again. Where no
// partition has a record, a first start was cut short.
void check_none_lost(const CoreConfig& config, const std::vector<std::uint32_t>& without_log, const std::vector<CoreRecovery>& parts) {
  const auto full = std::find_if(parts.begin(), parts.end(), [](const CoreRecovery& part) { return part.log.last_seq_num > 0; });
  if (without_log.empty() || full == parts.end()) {
    return;
  }
  const auto dir = [&config](std::uint32_t i) { return partition_dir(config.log_dir, i, config.engine.partitions); };
  throw LogError(dir(without_log.front()) + " holds no segment, while " + dir(static_cast<std::uint32_t>(full - parts.begin())) +
                 " holds records: this partition's log is lost, and without it the ids of its orders would be given out again; "
                 "restore the folder from a copy, or start with a new log folder",
                 LogCause::damage);
}

// Those that were not there go again, unless keep() is called: an empty folder left by a refused start would hide that
// a partition's folder is lost.
class NewFolders {
 public:
  NewFolders() = default;
  NewFolders(const NewFolders&) = delete;
  NewFolders& operator=(const NewFolders&) = delete;
  NewFolders(NewFolders&&) = delete;
  NewFolders& operator=(NewFolders&&) = delete;
  ~NewFolders() {
    for (const fs::path& dir : made_) {
      std::error_code ignored;
      fs::remove(dir, ignored);  // only while it is empty
    }
  }
  void add(const fs::path& dir) { made_.push_back(dir); }
  void keep() noexcept { made_.clear(); }

 private:
  std::vector<fs::path> made_;
};

void make_folders(const CoreConfig& config, NewFolders& made) {
  if (config.engine.partitions == 1) {
    return;  // the log makes its own
  }
  for (std::uint32_t i = 0; i < config.engine.partitions; ++i) {
    const fs::path dir(partition_dir(config.log_dir, i, config.engine.partitions));
    std::error_code error;
    if (fs::create_directories(dir, error)) {
      made.add(dir);
      fs::permissions(dir, fs::perms::owner_all, error);
    }
    if (error) {
      throw LogError("the log folder " + dir.string() + " cannot be made: " + error.message(), LogCause::system);
    }
  }
}

void add(CoreRecovery& total, CoreRecovery part, std::uint32_t partition) {
  if (part.log.torn_to_seq != 0) {
    total.torn.push_back({partition, part.log.torn_from_seq, part.log.torn_to_seq});
  }
  total.snapshot_seq_num = partition == 0 ? part.snapshot_seq_num : std::min(total.snapshot_seq_num, part.snapshot_seq_num);
  total.log.records += part.log.records;
  total.log.last_seq_num = std::max(total.log.last_seq_num, part.log.last_seq_num);
  total.log.torn_records_cut += part.log.torn_records_cut;
  total.log.segments += part.log.segments;
  total.log.elapsed_us = std::max(total.log.elapsed_us, part.log.elapsed_us);
  std::move(part.warnings.begin(), part.warnings.end(), std::back_inserter(total.warnings));
}

void add(PartitionStats& total, const PartitionStats& part) noexcept {
  total.seq_num += part.seq_num;
  total.written_seq_num += part.written_seq_num;
  total.durable_seq_num += part.durable_seq_num;
  total.commands += part.commands;
  total.trades += part.trades;
  total.rejects += part.rejects;
  total.queue_depth += part.queue_depth;
  total.live_orders += part.live_orders;
  total.last_tick_ns = std::max(total.last_tick_ns, part.last_tick_ns);
}

}  // namespace

struct Core::Impl {
  explicit Impl(CoreConfig from) : config(std::move(from)), link({config.epoch, config.instruments_digest, config.link_key}, partitions) {
    check(config);
    for (std::uint32_t i = 0; i < config.engine.partitions; ++i) {
      EngineConfig own = config.engine;
      own.partition = i;
      const LogConfig log = log_config(config, i, config_digest(own));
      // Under `memory` what is appended is confirmed, and the partition itself says so.
      std::function<void()> on_confirmed;
      if (config.ack_policy != AckPolicy::memory) {
        on_confirmed = [this] { link.server().bell().ring(); };
      }
      partitions.push_back(std::make_unique<Partition>(std::move(own), log.dir, journal_log(log, on_confirmed), link.server().bell()));
    }
  }

  CoreConfig config;
  CoreLink link;  // outlives the partitions: their logs ring its bell from threads of their own
  std::vector<std::unique_ptr<Partition>> partitions;
  std::thread link_thread;
  std::vector<std::thread> partition_threads;
  bool recovered = false;
  bool listening = false;
  bool started = false;
  bool stopped = false;
  std::atomic<bool> open{false};  // the logs are

  void recover_these(const std::vector<std::uint32_t>& which, std::vector<CoreRecovery>& parts);
  void start_threads();
  void join() noexcept;
};

// All at once. Throws what the first of them threw.
void Core::Impl::recover_these(const std::vector<std::uint32_t>& which, std::vector<CoreRecovery>& parts) {
  std::vector<std::exception_ptr> errors(partitions.size());
  const auto recover_one = [&](std::uint32_t i) {
    try {
      parts[i] = partitions[i]->recover();
    } catch (...) {
      errors[i] = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < which.size(); ++i) {
      threads.emplace_back(recover_one, which[i]);
    }
    if (!which.empty()) {
      recover_one(which.front());
    }
  }
  for (const std::exception_ptr& error : errors) {
    if (error) {
      std::rethrow_exception(error);
    }
  }
}

void Core::Impl::start_threads() {
  const std::vector<int> cpus = cpus_for(partitions.size() + 1, config.pin_threads);
  link.set_running(true);
  try {
    for (std::size_t i = 0; i < partitions.size(); ++i) {
      partition_threads.push_back(start_thread("partition-" + std::to_string(i), cpus[i + 1], [one = partitions[i].get()] { one->run(); }));
    }
    link_thread = start_thread("link", cpus[0], [this] { link.run(); });
  } catch (...) {
    link.set_running(false);
    join();
    throw;
  }
}

void Core::Impl::join() noexcept {
  link.stop();
  if (link_thread.joinable()) {
    link_thread.join();
  }
  for (const auto& partition : partitions) {
    partition->give_up();
  }
  for (std::thread& thread : partition_threads) {
    thread.join();
  }
  partition_threads.clear();
  open = false;
  for (const auto& partition : partitions) {
    partition->log().close();
  }
}

Core::Core(CoreConfig config) : impl_(std::make_unique<Impl>(std::move(config))) {}

Core::~Core() { stop(); }

CoreRecovery Core::recover() {
  Impl& impl = *impl_;
  if (impl.recovered) {
    throw std::logic_error("recover() was already called");
  }
  check_layout(impl.config);
  NewFolders made;
  make_folders(impl.config, made);
  std::vector<std::uint32_t> with_log;
  std::vector<std::uint32_t> without_log;
  for (std::uint32_t i = 0; i < impl.config.engine.partitions; ++i) {
    const bool holds = holds_segments(partition_dir(impl.config.log_dir, i, impl.config.engine.partitions));
    (holds ? with_log : without_log).push_back(i);
  }
  // A recovery makes segments, so those without any wait: a refusal must leave them as they are, for the next start.
  std::vector<CoreRecovery> parts(impl.partitions.size());
  impl.recover_these(with_log, parts);
  check_none_lost(impl.config, without_log, parts);
  made.keep();
  impl.recover_these(without_log, parts);
  CoreRecovery total;
  for (std::uint32_t i = 0; i < impl.config.engine.partitions; ++i) {
    add(total, std::move(parts[i]), i);
  }
  impl.recovered = true;
  impl.open = true;
  return total;
}

std::uint16_t Core::listen(const std::string& host, std::uint16_t port) {
  const std::uint16_t bound = impl_->link.server().listen(host, port);
  impl_->listening = true;
  return bound;
}

void Core::start() {
  Impl& impl = *impl_;
  if (!impl.recovered || !impl.listening || impl.started || impl.stopped) {
    throw std::logic_error("start() comes once, after recover() and listen()");
  }
  impl.started = true;
  impl.start_threads();
}

void Core::stop() noexcept {
  impl_->stopped = true;
  impl_->join();
  impl_->link.server().shut_down();
}

CoreStats Core::stats(bool with_state_hash) const {
  const Impl& impl = *impl_;
  CoreStats stats;
  Digest digest;
  stats.log_healthy = impl.open;
  for (const auto& partition : impl.partitions) {
    stats.log_healthy = stats.log_healthy && partition->log().healthy();
    stats.log_fault = std::max(stats.log_fault, partition->log().fault());
    const PartitionStats one = partition->stats(with_state_hash);
    add(stats, one);
    digest.word(one.state_hash);
    stats.partitions.push_back(one);
  }
  if (with_state_hash) {
    stats.state_hash = stats.partitions.size() == 1 ? stats.partitions.front().state_hash : digest.value();
  }
  stats.rejects += impl.link.rejects();
  stats.links = impl.link.links();
  stats.running = impl.link.running();
  stats.epoch = impl.config.epoch;
  return stats;
}

}  // namespace exchange
