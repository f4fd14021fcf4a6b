#include "exchange/apply_thread.hpp"

#include <exception>
#include <utility>
#include <vector>

#include "hand_over.hpp"
#include "log_thread.hpp"

namespace exchange {

namespace {

constexpr std::size_t kBatch = 512;  // commands and their reports stay in the processor's second cache
constexpr std::size_t kOnTheWay = 8;

}  // namespace

struct ApplyThread::Impl {
  Impl(Engine& to, OnReports tell, On where) : engine(to), on_reports(std::move(tell)), no_thread(where == On::caller) {
    batch.reserve(kBatch);
  }

  Engine& engine;
  OnReports on_reports;
  std::vector<Command> batch;  // not handed over yet
  HandOver<std::vector<Command>, kOnTheWay> queue;
  std::thread thread;
  bool no_thread;              // none is wanted, or there was none to be had
  std::exception_ptr failure;  // the thread's until it is joined

  void apply(std::vector<Command>& commands) {
    const std::span<const Report> reports = engine.apply_batch(commands);
    if (on_reports) {
      on_reports(reports);
    }
    commands.clear();
  }
  void run() noexcept;
  void start() noexcept;
  void hand_over();
  void apply_here();
  void join();
  void rethrow();
};

void ApplyThread::Impl::run() noexcept {
  try {
    for (std::vector<Command> commands; queue.pop(commands);) {
      apply(commands);
    }
  } catch (...) {
    failure = std::current_exception();
    queue.stop();
  }
}

void ApplyThread::Impl::start() noexcept {
  queue.open();
  try {
    thread = start_quiet_thread([this] { run(); });
  } catch (const std::exception&) {
    no_thread = true;
  }
}

void ApplyThread::Impl::hand_over() {
  if (!thread.joinable()) {
    rethrow();
    if (!no_thread) {
      start();
    }
  }
  if (no_thread) {
    apply_here();
  } else if (!queue.push(batch)) {
    join();
  }
}

// On the caller's thread, with the promise of run(): a batch that throws is the last one.
void ApplyThread::Impl::apply_here() {
  try {
    apply(batch);
  } catch (...) {
    failure = std::current_exception();
    rethrow();
  }
}

void ApplyThread::Impl::rethrow() {
  if (failure) {
    batch.clear();  // never to be applied
    std::rethrow_exception(failure);
  }
}

void ApplyThread::Impl::join() {
  if (thread.joinable()) {
    queue.close();
    thread.join();
  }
  rethrow();
}

ApplyThread::ApplyThread(Engine& engine, OnReports on_reports, On where)
    : impl_(std::make_unique<Impl>(engine, std::move(on_reports), where)) {}

ApplyThread::~ApplyThread() {
  if (impl_->thread.joinable()) {
    impl_->queue.close();
    impl_->thread.join();
  }
}

void ApplyThread::add(const Command& command) {
  impl_->batch.push_back(command);
  if (impl_->batch.size() == kBatch) {
    impl_->hand_over();
  }
}

void ApplyThread::finish() {
  impl_->join();
  impl_->apply_here();
}

}  // namespace exchange
