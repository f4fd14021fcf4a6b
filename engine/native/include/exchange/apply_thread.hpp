// Applies commands that come one by one on a thread of its own, in batches that the engine can look ahead in, while the
// caller makes the next ones: a core that starts reads its log so.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "exchange/engine.hpp"

namespace exchange {

class ApplyThread {
 public:
  // Where the work is done, for each batch: its reports, valid during the call.
  using OnReports = std::function<void(std::span<const Report>)>;

  // Where the work is done. `caller` is also what becomes of `thread` where none is to be had.
  enum class On : std::uint8_t { thread, caller };

  // The engine is this object's until finish() has come back. No thread is started for less than a batch.
  explicit ApplyThread(Engine& engine, OnReports on_reports = {}, On where = On::thread);
  ApplyThread(const ApplyThread&) = delete;
  ApplyThread& operator=(const ApplyThread&) = delete;
  ApplyThread(ApplyThread&&) = delete;
  ApplyThread& operator=(ApplyThread&&) = delete;
  // Without finish() some of the last commands may not have been applied.
  ~ApplyThread();

  // Commands are applied in the order in which they come here. Throws what an earlier batch threw.
  void add(const Command& command);
  // All are applied when it comes back. Throws what a batch threw; nothing behind that batch was applied then.
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace exchange
