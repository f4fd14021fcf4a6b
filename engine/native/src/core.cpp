#include "exchange/core.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <ctime>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

#include "exchange/digest.hpp"
#include "exchange/engine.hpp"
#include "link_server.hpp"

namespace exchange {

namespace {

TimeNs wall_clock_ns() noexcept {
  timespec now{};
  (void)::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<TimeNs>(now.tv_sec) * 1'000'000'000 + static_cast<TimeNs>(now.tv_nsec);
}

LogConfig log_config(const CoreConfig& config, std::uint64_t engine_digest) {
  Digest digest;
  digest.word(engine_digest);
  digest.word(config.instruments_digest);
  return {config.log_dir, config.ack_policy, config.epoch, digest.value(), config.segment_records};
}

// Takes the same time wherever the two differ, so that the key cannot be found byte by byte. Its length is no secret.
bool same_key(std::string_view wanted, std::string_view given) noexcept {
  unsigned differing = wanted.size() == given.size() ? 0U : 1U;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const char other = given.empty() ? '\0' : given[i % given.size()];
    differing |= static_cast<unsigned>(static_cast<unsigned char>(wanted[i]) ^ static_cast<unsigned char>(other));
  }
  return differing == 0U;
}

// One command of a batch: where its answer goes, and the command, unless no command could be made of the frame.
struct Pending {
  LinkId link = 0;
  std::uint64_t request_id = 0;
  std::optional<Command> command;
};

std::optional<Command> to_command(const NewOrderFrame& frame) noexcept {
  const auto cl_ord_id = ClOrdId::parse(frame.cl_ord_id);
  if (!cl_ord_id) {
    return std::nullopt;
  }
  Command command;
  command.kind = CommandKind::new_order;
  command.side = static_cast<Side>(frame.side);
  command.ord_type = static_cast<OrdType>(frame.ord_type);
  command.tif = static_cast<TimeInForce>(frame.tif);
  command.firm = frame.firm;
  command.instrument = frame.instrument;
  command.price_ticks = frame.price_ticks;
  command.qty = frame.qty;
  command.cl_ord_id = *cl_ord_id;
  return well_formed(command) ? std::optional(command) : std::nullopt;
}

Command to_command(CommandKind kind, FirmId firm, OrderId order_id, Qty qty) noexcept {
  Command command;
  command.kind = kind;
  command.firm = firm;
  command.order_id = order_id;
  command.qty = qty;
  return command;
}

// Nothing when the frame is not a command.
std::optional<Pending> to_pending(const Inbound& inbound) noexcept {
  if (const auto* order = std::get_if<NewOrderFrame>(&inbound.frame)) {
    return Pending{inbound.link, order->request_id, to_command(*order)};
  }
  if (const auto* cancel = std::get_if<CancelFrame>(&inbound.frame)) {
    return Pending{inbound.link, cancel->request_id, to_command(CommandKind::cancel, cancel->firm, cancel->order_id, 0)};
  }
  if (const auto* reduce = std::get_if<ReduceFrame>(&inbound.frame)) {
    return Pending{inbound.link, reduce->request_id,
                   to_command(CommandKind::reduce, reduce->firm, reduce->order_id, reduce->new_leaves_qty)};
  }
  return std::nullopt;
}

Reply refusal(const Pending& pending, RejectReason reason) {
  Reply reply;
  reply.reason = reason;
  if (pending.command) {
    reply.order_id = pending.command->order_id;
  }
  return reply;
}

struct DepthQuery {
  LinkId link = 0;
  DepthRequestFrame request;
};

}  // namespace

struct Core::Impl {
  explicit Impl(CoreConfig from)
      : config(std::move(from)), engine(config.instrument_max_qty), log(log_config(config, engine.config_digest())) {}

  CoreConfig config;
  mutable std::mutex state_mutex;  // engine; held by the core's thread while it applies, by stats() while it reads
  Engine engine;
  Log log;
  LinkServer server;
  std::thread thread;
  bool recovered = false;
  bool listening = false;
  TimeNs last_ts_ns = 0;

  std::atomic<bool> stopping{false};
  std::atomic<bool> running{false};
  std::atomic<bool> log_healthy{false};
  std::atomic<SeqNum> durable_seq_num{0};
  std::atomic<std::uint64_t> commands{0};
  std::atomic<std::uint64_t> rejects{0};
  std::atomic<std::uint64_t> queue_depth{0};
  std::atomic<std::uint64_t> links{0};
  mutable std::optional<std::pair<SeqNum, std::uint64_t>> last_hash;  // under state_mutex

  std::vector<Inbound> inbound;
  std::vector<Pending> pending;
  std::vector<DepthQuery> depth_queries;
  std::vector<Command> batch;

  void run() noexcept;
  void round();
  void sort_inbound();
  void hello(LinkId link, const HelloFrame& frame);
  void process(std::span<Pending> part);
  void answer(const Pending& to, const Reply& reply);
  void answer_depth();
  [[nodiscard]] TimeNs next_ts_ns() noexcept;
};

// Any exception here (memory ran out) may have come between log and engine: the only safe thing is to stop.
void Core::Impl::run() noexcept {
  try {
    while (!stopping.load(std::memory_order_acquire)) {
      round();
    }
  } catch (...) {
    running = false;  // first: it tells an end of the thread from a log that cannot be written
    log_healthy = false;
  }
  server.close_all();
  links = 0;
  running = false;
}

void Core::Impl::round() {
  inbound.clear();
  server.poll(inbound);
  sort_inbound();
  queue_depth = pending.size();
  for (std::size_t at = 0; at < pending.size(); at += kMaxBatch) {
    process(std::span(pending).subspan(at, std::min(kMaxBatch, pending.size() - at)));
    queue_depth = pending.size() - std::min(pending.size(), at + kMaxBatch);
    server.flush();
  }
  answer_depth();
  server.flush();
  links = server.links();
}

void Core::Impl::sort_inbound() {
  pending.clear();
  depth_queries.clear();
  for (const Inbound& one : inbound) {
    if (!server.is_open(one.link)) {
      continue;  // closed for garbage or refused: nothing that came with it counts
    }
    const auto* request = std::get_if<DepthRequestFrame>(&one.frame);
    const auto command = to_pending(one);
    if (const auto* said = std::get_if<HelloFrame>(&one.frame)) {
      hello(one.link, *said);
    } else if (!server.is_greeted(one.link) || (!command && request == nullptr)) {
      server.close(one.link);
    } else if (command) {
      pending.push_back(*command);
    } else {
      depth_queries.push_back({one.link, *request});
    }
  }
}

// A gateway that has met a newer epoch proves that this core was replaced.
void Core::Impl::hello(LinkId link, const HelloFrame& frame) {
  if (!config.link_key.empty() && !same_key(config.link_key, frame.key)) {
    server.close(link);
    return;
  }
  std::vector<std::uint8_t>* out = server.output(link);
  const bool welcome = out != nullptr && frame.epoch <= config.epoch && !server.is_greeted(link);
  if (!welcome || !encode(WelcomeFrame{config.epoch, log.last_seq_num(), config.instruments_digest}, *out)) {
    server.close(link);
    return;
  }
  server.greeted(link);
}

void Core::Impl::process(std::span<Pending> part) {
  batch.clear();
  const TimeNs ts_ns = next_ts_ns();
  for (Pending& one : part) {
    if (one.command) {
      one.command->ts_ns = ts_ns;
      batch.push_back(*one.command);
    }
  }
  const AppendResult logged = batch.empty() ? AppendResult::written : log.append(batch);
  log_healthy = log.healthy();
  durable_seq_num = log.durable_seq_num();
  if (logged == AppendResult::unknown) {
    server.close_all();
    return;
  }
  const std::lock_guard lock(state_mutex);
  for (const Pending& one : part) {
    if (!one.command) {
      answer(one, refusal(one, RejectReason::bad_command));
    } else if (logged == AppendResult::written) {
      answer(one, engine.apply(*one.command));
    } else {
      answer(one, refusal(one, RejectReason::log_unavailable));
    }
  }
}

void Core::Impl::answer(const Pending& to, const Reply& reply) {
  if (reply.seq_num != 0) {
    commands.fetch_add(1, std::memory_order_relaxed);
  }
  if (reply.status == OrdStatus::rejected) {
    rejects.fetch_add(1, std::memory_order_relaxed);
  }
  std::vector<std::uint8_t>* out = server.output(to.link);
  if (out != nullptr && !encode_reply(to.request_id, reply, *out)) {
    server.close(to.link);
  }
}

void Core::Impl::answer_depth() {
  for (const DepthQuery& query : depth_queries) {
    std::vector<std::uint8_t>* out = server.output(query.link);
    if (out == nullptr) {
      continue;
    }
    const std::size_t levels = std::min<std::size_t>(query.request.levels, kMaxDepthLevels);
    if (!encode_depth(query.request.request_id, engine.depth(query.request.instrument, levels), *out)) {
      server.close(query.link);
    }
  }
}

TimeNs Core::Impl::next_ts_ns() noexcept {
  last_ts_ns = std::max(last_ts_ns, wall_clock_ns());
  return last_ts_ns;
}

Core::Core(CoreConfig config) : impl_(std::make_unique<Impl>(std::move(config))) {}

Core::~Core() { stop(); }

RecoveryReport Core::recover() {
  Impl& impl = *impl_;
  if (impl.recovered) {
    throw std::logic_error("recover() was already called");
  }
  const std::lock_guard lock(impl.state_mutex);
  const RecoveryReport report = impl.log.recover([&impl](const LogRecord& record) {
    impl.engine.apply(record.command);
    impl.last_ts_ns = record.command.ts_ns;
  });
  impl.recovered = true;
  impl.log_healthy = impl.log.healthy();
  impl.durable_seq_num = impl.log.durable_seq_num();
  return report;
}

std::uint16_t Core::listen(const std::string& host, std::uint16_t port) {
  const std::uint16_t bound = impl_->server.listen(host, port);
  impl_->listening = true;
  return bound;
}

void Core::start() {
  Impl& impl = *impl_;
  if (!impl.recovered || !impl.listening || impl.thread.joinable() || impl.stopping) {
    throw std::logic_error("start() comes once, after recover() and listen()");
  }
  // Signals belong to the program's own threads.
  sigset_t all{};
  sigset_t before{};
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  impl.running = true;
  try {
    impl.thread = std::thread([&impl] { impl.run(); });
  } catch (...) {
    impl.running = false;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Core::stop() noexcept {
  impl_->stopping = true;
  impl_->server.wake();
  if (impl_->thread.joinable()) {
    impl_->thread.join();
  }
  impl_->server.shut_down();
  impl_->log.close();
  impl_->log_healthy = false;
}

CoreStats Core::stats(bool with_state_hash) const {
  const Impl& impl = *impl_;
  CoreStats stats;
  stats.durable_seq_num = impl.durable_seq_num;  // before written_seq_num: it may grow in between
  stats.written_seq_num = impl.log.written_seq_num();
  stats.commands = impl.commands;
  stats.rejects = impl.rejects;
  stats.queue_depth = impl.queue_depth;
  stats.links = impl.links;
  stats.log_healthy = impl.log_healthy;
  stats.running = impl.running;
  stats.epoch = impl.config.epoch;
  const std::lock_guard lock(impl.state_mutex);
  stats.seq_num = impl.engine.last_seq_num();
  stats.trades = impl.engine.trades();
  stats.live_orders = impl.engine.live_orders();
  stats.last_tick_ns = impl.engine.last_tick_ns();
  if (with_state_hash) {
    if (!impl.last_hash || impl.last_hash->first != stats.seq_num) {
      impl.last_hash = {stats.seq_num, impl.engine.state_hash()};
    }
    stats.state_hash = impl.last_hash->second;
  }
  return stats;
}

}  // namespace exchange
