#include "segment.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <system_error>

#include "exchange/bytes.hpp"
#include "exchange/crc32c.hpp"

namespace exchange {

namespace {

constexpr std::uint64_t kMagic = 0x31474F4C48435845;  // "EXCHLOG1" as bytes
constexpr std::uint32_t kFormatVersion = 1;
constexpr std::uint64_t kMaxSegmentRecords = std::uint64_t{1} << 32U;
constexpr std::string_view kSuffix = ".log";
constexpr std::string_view kUnfinished = ".log.tmp";

// magic, format version, CRC of the fields behind it, then the fields; zeros up to kSegmentHeaderSize.
using HeaderBytes = std::array<std::uint8_t, 64>;
constexpr std::size_t kFieldsAt = 16;

HeaderBytes encode_header(const SegmentHeader& header) noexcept {
  HeaderBytes bytes{};
  store_le(&bytes[0], kMagic);
  store_le(&bytes[8], kFormatVersion);
  store_le(&bytes[16], header.index);
  store_le(&bytes[24], header.first_seq_num);
  store_le(&bytes[32], header.records);
  store_le(&bytes[40], header.epoch);
  store_le(&bytes[48], header.config_digest);
  store_le(&bytes[12], crc32c(std::span<const std::uint8_t>(bytes).subspan(kFieldsAt)));
  return bytes;
}

int write_new_segment(int fd, const SegmentHeader& header, std::uint64_t size) noexcept {
  if (const Transfer zeros = zero_at(fd, size, 0); zeros.error != 0) {
    return zeros.error;
  }
  if (const Transfer put = write_at(fd, encode_header(header), 0); put.error != 0) {
    return put.error;
  }
  return ::fsync(fd) == 0 ? 0 : errno;
}

std::optional<std::uint64_t> index_of(const std::string& name) noexcept {
  if (name.size() != 8 + kSuffix.size() || !name.ends_with(kSuffix)) {
    return std::nullopt;
  }
  std::uint64_t index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + 8, index);
  return error == std::errc{} && end == name.data() + 8 ? std::optional(index) : std::nullopt;
}

SegmentHeader read_header(const std::string& path, int fd) {
  HeaderBytes bytes{};
  const Transfer got = read_at(fd, bytes, 0);
  if (got.error != 0) {
    throw log_error_at(path, 0, "the header cannot be read: " + error_text(got.error));
  }
  if (got.bytes < bytes.size() || load_le<std::uint64_t>(&bytes[0]) != kMagic) {
    throw log_error_at(path, 0, "the header is not one of a log segment");
  }
  if (load_le<std::uint32_t>(&bytes[8]) != kFormatVersion) {
    throw log_error_at(path, 8, "the segment has format version " + std::to_string(load_le<std::uint32_t>(&bytes[8])) +
                                    ", this program reads version " + std::to_string(kFormatVersion));
  }
  if (load_le<std::uint32_t>(&bytes[12]) != crc32c(std::span<const std::uint8_t>(bytes).subspan(kFieldsAt))) {
    throw log_error_at(path, 12, "the header is damaged");
  }
  SegmentHeader header;
  header.index = load_le<std::uint64_t>(&bytes[16]);
  header.first_seq_num = load_le<SeqNum>(&bytes[24]);
  header.records = load_le<std::uint64_t>(&bytes[32]);
  header.epoch = load_le<std::uint64_t>(&bytes[40]);
  header.config_digest = load_le<std::uint64_t>(&bytes[48]);
  return header;
}

}  // namespace

LogError log_error_at(const std::string& path, std::uint64_t offset, const std::string& what) {
  return LogError(path + ": offset " + std::to_string(offset) + ": " + what +
                  "; nothing was changed. Restore the log directory from the standby or a backup, or move it aside to start empty");
}

std::string segment_path(const std::string& dir, std::uint64_t index) {
  std::array<char, 24> name{};
  std::snprintf(name.data(), name.size(), "%08llu", static_cast<unsigned long long>(index));
  return dir + "/" + name.data() + std::string(kSuffix);
}

int create_segment(const std::string& dir, const SegmentHeader& header, Segment& made) noexcept {
  try {
    made.path = segment_path(dir, header.index);
    made.header = header;
    const std::string unfinished = made.path + ".tmp";
    made.fd.reset(::open(unfinished.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!made.fd) {
      return errno;
    }
    int error = write_new_segment(made.fd.get(), header, made.file_size());
    if (error == 0 && ::rename(unfinished.c_str(), made.path.c_str()) != 0) {
      error = errno;
    }
    if (error != 0) {
      ::unlink(unfinished.c_str());
      made.fd.reset();
      return error;
    }
    return sync_directory(dir);
  } catch (...) {
    return ENOMEM;
  }
}

Segment open_segment(const std::string& dir, std::uint64_t index) {
  Segment segment;
  segment.path = segment_path(dir, index);
  segment.fd.reset(::open(segment.path.c_str(), O_RDWR | O_CLOEXEC));
  struct stat file {};
  if (!segment.fd || ::fstat(segment.fd.get(), &file) != 0) {
    throw log_error_at(segment.path, 0, "the segment cannot be opened: " + error_text(errno));
  }
  segment.header = read_header(segment.path, segment.fd.get());
  if (segment.header.index != index) {
    throw log_error_at(segment.path, 16, "the header is the one of segment " + std::to_string(segment.header.index));
  }
  if (segment.header.records < 1 || segment.header.records > kMaxSegmentRecords) {
    throw log_error_at(segment.path, 32, "the header's number of records makes no sense");
  }
  const auto size = static_cast<std::uint64_t>(file.st_size);
  if (size != segment.file_size()) {
    throw log_error_at(segment.path, std::min(size, segment.file_size()),
                       "the file has " + std::to_string(size) + " bytes, its header promises " + std::to_string(segment.file_size()));
  }
  return segment;
}

std::vector<std::uint64_t> list_segments(const std::string& dir) {
  std::vector<std::uint64_t> indexes;
  std::vector<std::filesystem::path> leftovers;
  try {
    for (const auto& entry : std::filesystem::directory_iterator(dir)) {
      const std::string name = entry.path().filename().string();
      if (name.ends_with(kUnfinished)) {
        leftovers.push_back(entry.path());
      } else if (const auto index = index_of(name)) {
        indexes.push_back(*index);
      }
    }
    for (const auto& leftover : leftovers) {
      std::filesystem::remove(leftover);
    }
  } catch (const std::filesystem::filesystem_error& error) {
    throw LogError(dir + ": the log directory cannot be read: " + error.code().message() + "; check its owner and mode");
  }
  std::sort(indexes.begin(), indexes.end());
  return indexes;
}

}  // namespace exchange
