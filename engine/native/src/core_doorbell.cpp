#include "core_doorbell.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace exchange {

Doorbell::Doorbell() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (!fd_) {
    throw std::system_error(errno, std::generic_category(), "eventfd");
  }
}

void Doorbell::ring() noexcept {
  if (armed_.exchange(false, std::memory_order_acq_rel)) {
    const std::uint64_t one = 1;
    while (::write(fd_.get(), &one, sizeof one) < 0 && errno == EINTR) {
    }
  }
}

void Doorbell::disarm() noexcept {
  if (!armed_.exchange(false, std::memory_order_acq_rel)) {  // it rang, or rings now: the next wait may come back early
    std::uint64_t ignored = 0;
    (void)!::read(fd_.get(), &ignored, sizeof ignored);
  }
}

void Doorbell::wait(int timeout_ms) noexcept {
  pollfd waits{fd_.get(), POLLIN, 0};
  (void)::poll(&waits, 1, timeout_ms);
}

}  // namespace exchange
