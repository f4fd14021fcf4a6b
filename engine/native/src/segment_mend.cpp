#include "segment_mend.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <limits>
#include <vector>

namespace exchange {

namespace {

constexpr std::uint64_t kMostPlaces = std::uint64_t{1} << 24U;  // of LogConfig: beyond it the disk may not have the room

using HeaderBytes = std::array<std::uint8_t, 64>;

// Every place that holds a good record, with its number from 0.
void each_record(int fd, const std::function<void(std::uint64_t, const LogRecord&)>& see) {
  constexpr std::size_t kChunkRecords = 512;
  std::vector<std::uint8_t> chunk(kChunkRecords * kRecordSize);
  LogRecord record;
  std::uint64_t place = 0;
  std::size_t got = chunk.size();
  while (got == chunk.size()) {
    got = read_at(fd, chunk, kSegmentHeaderSize + place * kRecordSize).bytes;
    for (std::size_t at = 0; at + kRecordSize <= got; at += kRecordSize, ++place) {
      if (decode_record(std::span<const std::uint8_t, kRecordSize>(chunk.data() + at, kRecordSize), record) == RecordState::valid) {
        see(place, record);
      }
    }
  }
}

std::optional<SegmentHeader> good_header(const std::string& dir, std::uint64_t index) {
  Segment segment;
  const auto problem = open_segment(dir, index, SegmentUse::read, segment);
  return problem ? std::nullopt : std::optional(segment.header);
}

// The CRC proves a header that differs from the one in the file in a single byte, if there is only one such.
std::optional<SegmentHeader> with_one_byte_changed(const std::string& path, HeaderBytes bytes, std::uint64_t index, std::uint64_t size) {
  std::optional<SegmentHeader> found;
  for (std::uint8_t& byte : bytes) {
    const std::uint8_t was = byte;
    for (unsigned value = 0; value < 256; ++value) {
      byte = static_cast<std::uint8_t>(value);
      SegmentHeader header;
      if (!is_segment_header(bytes) || decode_segment_header(path, bytes, header) || check_segment_header(path, header, index, header.file_size()) ||
          size > header.file_size()) {
        continue;
      }
      if (found) {
        return std::nullopt;
      }
      found = header;
    }
    byte = was;
  }
  return found;
}

// Every good record stands in the place that this header gives it.
bool fits(const SegmentHeader& header, int fd) {
  bool right = true;
  each_record(fd, [&](std::uint64_t place, const LogRecord& record) {
    right = right && place < header.records && record.seq_num == header.first_seq_num + place;
  });
  return right;
}

// A header that is lost as a whole. Every field must follow from the headers on both sides, or from the one in front and
// the records; where two values would do, nothing is certain.
std::optional<SegmentHeader> from_neighbours(const std::string& dir, std::uint64_t index, const std::optional<SegmentHeader>& before,
                                             int fd, std::uint64_t size) {
  const auto after = good_header(dir, index + 1);
  if ((!before && index != 1) || (!before && !after) || (before && after && before->config_digest != after->config_digest)) {
    return std::nullopt;
  }
  std::uint64_t first_epoch = after ? after->epoch : std::numeric_limits<std::uint64_t>::max();
  std::uint64_t records = 0;
  each_record(fd, [&](std::uint64_t, const LogRecord& record) {
    first_epoch = std::min(first_epoch, record.epoch);
    ++records;
  });
  SegmentHeader header;
  header.index = index;
  header.first_seq_num = before ? before->end_seq_num() : 1;
  header.records = after ? after->first_seq_num - header.first_seq_num : before->records;
  header.epoch = before ? before->epoch : 1;
  header.config_digest = after ? after->config_digest : before->config_digest;
  const bool whole = after ? size <= header.file_size() : size == header.file_size() && records > 0;
  if (!whole || header.epoch != first_epoch || check_segment_header(segment_path(dir, index), header, index, header.file_size()) ||
      !fits(header, fd)) {
    return std::nullopt;
  }
  return header;
}

}  // namespace

SeqNum SegmentMend::first_missing() const noexcept {
  return size < kSegmentHeaderSize ? header.first_seq_num
                                   : header.first_seq_num + std::min(header.records, (size - kSegmentHeaderSize) / kRecordSize);
}

std::string SegmentMend::text() const {
  std::string what = path + ": ";
  if (rewrite_header) {
    what += "its header is written again";
  }
  if (size < header.file_size()) {
    what += std::string(rewrite_header ? ", and " : "") + "zeros make it as long as its header says (" + std::to_string(size) + " to " +
            std::to_string(header.file_size()) + " bytes)";
  }
  if (first_missing() < header.end_seq_num()) {
    what += "; the places of seq_nums " + std::to_string(first_missing()) + ".." + std::to_string(header.end_seq_num() - 1) +
            " are not in the file, and whatever stood there is lost";
  }
  return what;
}

std::optional<SegmentMend> mend_of(const std::string& dir, std::uint64_t index, const std::optional<SegmentHeader>& before) {
  SegmentMend mend;
  mend.path = segment_path(dir, index);
  const UniqueFd fd(::open(mend.path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat file {};
  HeaderBytes bytes{};
  if (!fd || ::fstat(fd.get(), &file) != 0 || read_at(fd.get(), bytes, 0).error != 0) {
    return std::nullopt;
  }
  mend.size = static_cast<std::uint64_t>(file.st_size);
  const auto usable = [](const SegmentHeader& header) { return header.records <= kMostPlaces; };
  if (!decode_segment_header(mend.path, bytes, mend.header)) {
    const bool only_short = !check_segment_header(mend.path, mend.header, index, mend.header.file_size()) && mend.size < mend.header.file_size();
    return only_short && usable(mend.header) ? std::optional(mend) : std::nullopt;
  }
  auto header = with_one_byte_changed(mend.path, bytes, index, mend.size);
  if (!header) {
    header = from_neighbours(dir, index, before, fd.get(), mend.size);
  }
  if (!header || !usable(*header)) {
    return std::nullopt;
  }
  mend.header = *header;
  mend.rewrite_header = true;
  return mend;
}

void carry_out(const SegmentMend& mend) {
  const UniqueFd fd(::open(mend.path.c_str(), O_RDWR | O_CLOEXEC));
  int error = fd ? 0 : errno;
  if (error == 0 && mend.size < mend.header.file_size()) {
    error = zero_at(fd.get(), mend.header.file_size() - mend.size, mend.size).error;
  }
  if (error == 0 && mend.rewrite_header) {
    error = write_at(fd.get(), encode_segment_header(mend.header), 0).error;
  }
  if (error == 0) {
    error = sync_data(fd.get());
  }
  if (error != 0) {
    throw system_error_of(mend.path, "the segment cannot be mended", error);
  }
}

void each_good_record(const std::string& path, const std::function<void(const LogRecord&)>& see) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  each_record(fd.get(), [&see](std::uint64_t, const LogRecord& record) { see(record); });
}

std::uint64_t good_records_in(const std::string& path, SeqNum from) {
  std::uint64_t found = 0;
  each_good_record(path, [&](const LogRecord& record) { found += record.seq_num >= from ? 1 : 0; });
  return found;
}

}  // namespace exchange
