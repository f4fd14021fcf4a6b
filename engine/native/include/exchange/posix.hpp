// The few system calls the core needs, made whole: interrupted and short transfers are continued.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>

namespace exchange {

// Owns a file descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      reset(std::exchange(other.fd_, -1));
    }
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  void reset(int fd = -1) noexcept;
  [[nodiscard]] int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// How much was transferred before the end of the file or the first error, and that error (0: none).
struct Transfer {
  std::size_t bytes = 0;
  int error = 0;
};

[[nodiscard]] Transfer read_at(int fd, std::span<std::uint8_t> to, std::uint64_t offset) noexcept;
[[nodiscard]] Transfer write_at(int fd, std::span<const std::uint8_t> from, std::uint64_t offset) noexcept;
// Writes `size` zero bytes.
[[nodiscard]] Transfer zero_at(int fd, std::uint64_t size, std::uint64_t offset) noexcept;
// 0 or errno.
[[nodiscard]] int sync_data(int fd) noexcept;
[[nodiscard]] int sync_directory(const std::string& path) noexcept;
// The text of an errno value.
[[nodiscard]] std::string error_text(int error);

}  // namespace exchange
