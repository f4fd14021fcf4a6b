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

#include "exchange/bytes.hpp"
#include "exchange/crc32c.hpp"

namespace exchange {

namespace {

constexpr std::uint64_t kMagic = 0x31474F4C48435845;  // "EXCHLOG1" as bytes
constexpr std::uint32_t kFormatVersion = 2;
constexpr std::uint64_t kMaxSegmentRecords = std::uint64_t{1} << 32U;
constexpr std::uint64_t kMakeAtOnce = std::uint64_t{1} << 20U;  // bytes between two looks at `stop`
constexpr std::string_view kSuffix = ".log";
constexpr std::string_view kUnfinished = ".log.tmp";

// magic, format version, CRC of the fields behind it, then the fields; zeros up to kSegmentHeaderSize.
constexpr std::size_t kHeaderBytes = 64;
constexpr std::size_t kFieldsAt = 16;

struct alignas(kBlock) HeaderBlock {
  std::array<std::uint8_t, kSegmentHeaderSize> bytes;
};

std::uint32_t header_crc(std::span<const std::uint8_t> bytes) noexcept {
  return crc32c(bytes.subspan(kFieldsAt, kHeaderBytes - kFieldsAt));
}

HeaderBlock encode_header(const SegmentHeader& header) noexcept {
  HeaderBlock block{};
  auto& bytes = block.bytes;
  store_le(&bytes[0], kMagic);
  store_le(&bytes[8], kFormatVersion);
  store_le(&bytes[16], header.index);
  store_le(&bytes[24], header.first_seq_num);
  store_le(&bytes[32], header.records);
  store_le(&bytes[40], header.epoch);
  store_le(&bytes[48], header.config_digest);
  store_le(&bytes[12], header_crc(bytes));
  return block;
}

int write_zeros(int fd, std::uint64_t size, const std::atomic<bool>& stop) noexcept {
  for (std::uint64_t at = 0; at < size; at += kMakeAtOnce) {
    if (stop.load(std::memory_order_relaxed)) {
      return ECANCELED;
    }
    if (const Transfer zeros = zero_at(fd, std::min(kMakeAtOnce, size - at), at); zeros.error != 0) {
      return zeros.error;
    }
  }
  return 0;
}

// Under `memory` the blocks are only reserved, where the file system can: pages that wait to be written out are then
// those of the log alone, and a full disk is met here all the same. What was never written reads as zeros.
int make_room(int fd, std::uint64_t size, SegmentUse use, const std::atomic<bool>& stop) noexcept {
  const int error = use == SegmentUse::memory ? reserve_blocks(fd, size) : EOPNOTSUPP;
  return error == EOPNOTSUPP ? write_zeros(fd, size, stop) : error;
}

int write_new_segment(int fd, const SegmentHeader& header, SegmentUse use, const std::atomic<bool>& stop) noexcept {
  if (const int error = make_room(fd, header.file_size(), use, stop); error != 0) {
    return error;
  }
  const HeaderBlock block = encode_header(header);
  if (const Transfer put = write_at(fd, block.bytes, 0); put.error != 0) {
    return put.error;
  }
  return use == SegmentUse::memory || ::fsync(fd) == 0 ? 0 : errno;
}

// Under `device` the zeros pass by the page cache: their way out through it would hold up the syncs of the log itself.
int fill_file(const std::string& path, const SegmentHeader& header, SegmentUse use, const std::atomic<bool>& stop, UniqueFd& fd) noexcept {
  fd.reset(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) {
    return errno;
  }
  if (use == SegmentUse::device) {
    const UniqueFd direct(::open(path.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC));
    const int error = direct ? write_new_segment(direct.get(), header, use, stop) : EINVAL;
    if (error != EINVAL) {
      return error;
    }
  }
  return write_new_segment(fd.get(), header, use, stop);
}

int prepare(Segment& segment, SegmentUse use) noexcept {
  if (use == SegmentUse::device) {
    segment.direct.reset(::open(segment.path.c_str(), O_WRONLY | O_DIRECT | O_DSYNC | O_CLOEXEC));
  }
  return use == SegmentUse::memory ? segment.map.map(segment.fd.get(), segment.header.file_size()) : 0;
}

std::optional<std::uint64_t> index_of(const std::string& name) noexcept {
  if (name.size() != 8 + kSuffix.size() || !name.ends_with(kSuffix)) {
    return std::nullopt;
  }
  std::uint64_t index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + 8, index);
  return error == std::errc{} && end == name.data() + 8 ? std::optional(index) : std::nullopt;
}

LogProblem problem_at(LogProblem::Kind kind, const std::string& path, std::uint64_t offset, std::string what) {
  LogProblem problem;
  problem.kind = kind;
  problem.segment = path;
  problem.offset = offset;
  problem.what = std::move(what);
  problem.cause = kind == LogProblem::Kind::stuck ? LogCause::system : LogCause::damage;
  return problem;
}

// Fills in the header when it is good.
std::optional<LogProblem> read_header(const std::string& path, int fd, SegmentHeader& header) {
  std::array<std::uint8_t, kHeaderBytes> bytes{};
  const Transfer got = read_at(fd, bytes, 0);
  if (got.error != 0) {
    return problem_at(LogProblem::Kind::stuck, path, 0, "the header cannot be read: " + error_text(got.error) + "; look at the device");
  }
  return decode_segment_header(path, std::span(bytes).first(got.bytes), header);
}

}  // namespace

std::array<std::uint8_t, kSegmentHeaderSize> encode_segment_header(const SegmentHeader& header) noexcept {
  return encode_header(header).bytes;
}

bool is_segment_header(std::span<const std::uint8_t> bytes) noexcept {
  return bytes.size() >= kHeaderBytes && load_le<std::uint64_t>(&bytes[0]) == kMagic && load_le<std::uint32_t>(&bytes[8]) == kFormatVersion &&
         load_le<std::uint32_t>(&bytes[12]) == header_crc(bytes);
}

std::optional<LogProblem> decode_segment_header(const std::string& path, std::span<const std::uint8_t> bytes, SegmentHeader& header) {
  using Kind = LogProblem::Kind;
  if (bytes.size() < kHeaderBytes || load_le<std::uint64_t>(&bytes[0]) != kMagic) {
    return problem_at(Kind::segment, path, 0, "the header is not one of a log segment");
  }
  const auto version = load_le<std::uint32_t>(&bytes[8]);
  const bool whole = load_le<std::uint32_t>(&bytes[12]) == header_crc(bytes);
  if (version != kFormatVersion && whole) {
    auto problem = problem_at(Kind::stuck, path, 8,
                              "the segment has format version " + std::to_string(version) + ", this program reads version " +
                                  std::to_string(kFormatVersion) +
                                  "; nothing was changed. Start the release that wrote it, or give this one a new log folder");
    problem.cause = LogCause::settings;
    return problem;
  }
  if (version != kFormatVersion || !whole) {
    return problem_at(Kind::segment, path, version == kFormatVersion ? 12 : 8, "the header is damaged");
  }
  header.index = load_le<std::uint64_t>(&bytes[16]);
  header.first_seq_num = load_le<SeqNum>(&bytes[24]);
  header.records = load_le<std::uint64_t>(&bytes[32]);
  header.epoch = load_le<std::uint64_t>(&bytes[40]);
  header.config_digest = load_le<std::uint64_t>(&bytes[48]);
  return std::nullopt;
}

std::optional<LogProblem> check_segment_header(const std::string& path, const SegmentHeader& header, std::uint64_t index,
                                               std::uint64_t size) {
  using Kind = LogProblem::Kind;
  if (header.index != index) {
    return problem_at(Kind::segment, path, 16, "the header is the one of segment " + std::to_string(header.index));
  }
  const bool overflow = header.first_seq_num < 1 || header.first_seq_num > std::uint64_t{1} << 62U;
  if (header.records < 1 || header.records > kMaxSegmentRecords || overflow) {
    return problem_at(Kind::segment, path, 32, "the header's number of records makes no sense");
  }
  if (size != header.file_size()) {
    return problem_at(Kind::segment, path, std::min(size, header.file_size()),
                      "the file has " + std::to_string(size) + " bytes, its header promises " + std::to_string(header.file_size()));
  }
  return std::nullopt;
}

std::string segment_path(const std::string& dir, std::uint64_t index) {
  std::array<char, 24> name{};
  std::snprintf(name.data(), name.size(), "%08llu", static_cast<unsigned long long>(index));
  return dir + "/" + name.data() + std::string(kSuffix);
}

int create_segment(const std::string& dir, const SegmentHeader& header, SegmentUse use, const std::atomic<bool>& stop,
                   Segment& made) noexcept {
  try {
    made.path = segment_path(dir, header.index);
    made.header = header;
    const std::string unfinished = made.path + ".tmp";
    int error = fill_file(unfinished, header, use, stop, made.fd);
    if (error == 0 && ::rename(unfinished.c_str(), made.path.c_str()) != 0) {
      error = errno;
    }
    if (error != 0) {
      ::unlink(unfinished.c_str());
      made.fd.reset();
      return error;
    }
    error = use == SegmentUse::memory ? 0 : sync_directory(dir);
    return error != 0 ? error : prepare(made, use);
  } catch (...) {
    return ENOMEM;
  }
}

void settle_segment(const std::string& dir, const Segment& segment) noexcept {
  (void)::fsync(segment.fd.get());
  (void)sync_directory(dir);
  segment.map.make_writable(0, segment.header.file_size());
}

std::optional<LogProblem> open_segment(const std::string& dir, std::uint64_t index, SegmentUse use, Segment& segment) {
  segment.path = segment_path(dir, index);
  segment.fd.reset(::open(segment.path.c_str(), (use == SegmentUse::read ? O_RDONLY : O_RDWR) | O_CLOEXEC));
  struct stat file {};
  if (!segment.fd || ::fstat(segment.fd.get(), &file) != 0) {
    const int error = errno;
    return problem_at(LogProblem::Kind::stuck, segment.path, 0,
                      "the segment cannot be opened: " + error_text(error) + "; check the folder's owner, mode and mount");
  }
  if (auto problem = read_header(segment.path, segment.fd.get(), segment.header)) {
    return problem;
  }
  if (auto problem = check_segment_header(segment.path, segment.header, index, static_cast<std::uint64_t>(file.st_size))) {
    return problem;
  }
  if (const int error = prepare(segment, use); error != 0) {
    return problem_at(LogProblem::Kind::stuck, segment.path, 0, "the segment cannot be mapped: " + error_text(error));
  }
  return std::nullopt;
}

int own_blocks(const Segment& segment, SegmentUse use) noexcept {
  const int error = use == SegmentUse::memory ? reserve_blocks(segment.fd.get(), segment.header.file_size()) : 0;
  return error == EOPNOTSUPP ? 0 : error;
}

std::vector<std::uint64_t> list_segments(const std::string& dir) {
  std::vector<std::uint64_t> indexes;
  try {
    for (const auto& entry : std::filesystem::directory_iterator(dir)) {
      if (const auto index = index_of(entry.path().filename().string())) {
        indexes.push_back(*index);
      }
    }
  } catch (const std::filesystem::filesystem_error& error) {
    throw LogError(dir + ": the log directory cannot be read: " + error.code().message() + "; check its owner and mode", LogCause::system);
  }
  std::sort(indexes.begin(), indexes.end());
  return indexes;
}

void remove_unfinished(const std::string& dir) {
  std::vector<std::filesystem::path> leftovers;
  std::error_code failed;
  for (std::filesystem::directory_iterator at(dir, failed), end; !failed && at != end; at.increment(failed)) {
    if (at->path().filename().string().ends_with(kUnfinished)) {
      leftovers.push_back(at->path());
    }
  }
  for (const auto& leftover : leftovers) {
    if (!failed) {
      std::filesystem::remove(leftover, failed);
    }
  }
  if (failed) {
    throw system_error_of(dir, "what an unfinished segment left cannot be removed", failed.value());
  }
}

}  // namespace exchange
