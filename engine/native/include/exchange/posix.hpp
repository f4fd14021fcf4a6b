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

// Owns a shared mapping of the front of a file.
class MappedFile {
 public:
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    if (this != &other) {
      reset();
      bytes_ = std::exchange(other.bytes_, {});
    }
    return *this;
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile() { reset(); }

  void reset() noexcept;
  // 0 or errno.
  [[nodiscard]] int map(int fd, std::size_t size) noexcept;
  // Takes the page faults of later writes now, without changing a byte; also while others write there. `from` is a
  // multiple of the page size. What the system refuses is left to the writes themselves.
  void make_writable(std::size_t from, std::size_t size) const noexcept;
  [[nodiscard]] std::span<std::uint8_t> bytes() const noexcept { return bytes_; }

 private:
  std::span<std::uint8_t> bytes_;
};

// How much was transferred before the end of the file or the first error, and that error (0: none).
struct Transfer {
  std::size_t bytes = 0;
  int error = 0;
};

[[nodiscard]] Transfer read_at(int fd, std::span<std::uint8_t> to, std::uint64_t offset) noexcept;
[[nodiscard]] Transfer write_at(int fd, std::span<const std::uint8_t> from, std::uint64_t offset) noexcept;
// What direct writes must be aligned to: place in the file, place in memory, and size.
inline constexpr std::size_t kBlock = 4096;

// Writes `size` zero bytes, from aligned memory.
[[nodiscard]] Transfer zero_at(int fd, std::uint64_t size, std::uint64_t offset) noexcept;
// Reserves the blocks of the file's first `size` bytes, which read as zeros until they are written. 0, or errno with
// nothing promised: EOPNOTSUPP where the file system cannot.
[[nodiscard]] int reserve_blocks(int fd, std::uint64_t size) noexcept;
// 0 or errno.
[[nodiscard]] int sync_data(int fd) noexcept;
[[nodiscard]] int sync_directory(const std::string& path) noexcept;
// The text of an errno value.
[[nodiscard]] std::string error_text(int error);

}  // namespace exchange
