// How one thread wakes another that has nothing to do: a flag, and an eventfd behind it that is only written when the
// other sleeps. The sleeper arms the bell, looks at its queues once more, and only then waits; whoever put something in
// before that look is seen by it, and whoever did after it finds the bell armed.
#pragma once

#include <atomic>

#include "exchange/posix.hpp"

namespace exchange {

class Doorbell {
 public:
  // Throws std::system_error.
  Doorbell();

  // From any thread, after what was put in is published.
  void ring() noexcept;

  // The rest is the sleeper's. arm() comes before the last look at the queues.
  void arm() noexcept { (void)armed_.exchange(true, std::memory_order_acq_rel); }
  void disarm() noexcept;
  // Waits for ring(), at most `timeout_ms`. Comes back early now and then.
  void wait(int timeout_ms) noexcept;
  // Readable once the bell rang: for a sleeper that waits on other things too.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  UniqueFd fd_;
  std::atomic<bool> armed_{false};
};

}  // namespace exchange
