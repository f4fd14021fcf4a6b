#include "snapshot_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "exchange/bytes.hpp"
#include "exchange/crc32c.hpp"

namespace exchange {

namespace {

constexpr std::uint64_t kMagic = 0x31504E5348435845;  // "EXCHSNP1" as bytes
// Byte offsets in the header. What lies behind the fields is zero, and under the CRC too.
constexpr std::size_t kMagicAt = 0;
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kHeaderCrcAt = 12;  // u32 over everything behind it
constexpr std::size_t kFieldsAt = 16;
constexpr std::size_t kConfigDigestAt = 16;
constexpr std::size_t kSeqNumAt = 24;
constexpr std::size_t kEpochAt = 32;
constexpr std::size_t kTsAt = 40;
constexpr std::size_t kRecordCrcAt = 48;
constexpr std::size_t kBlocksCrcAt = 52;
constexpr std::size_t kStateHashAt = 56;
constexpr std::size_t kPayloadBytesAt = 64;
constexpr std::size_t kFileBytesAt = 72;

std::uint32_t header_crc(std::span<const std::uint8_t> bytes) noexcept { return crc32c(bytes.subspan(kFieldsAt)); }

}  // namespace

SnapshotHeaderBytes encode_snapshot_header(const SnapshotHeader& header) noexcept {
  SnapshotHeaderBytes bytes{};
  store_le(&bytes[kMagicAt], kMagic);
  store_le(&bytes[kVersionAt], kSnapshotFormatVersion);
  store_le(&bytes[kConfigDigestAt], header.config_digest);
  store_le(&bytes[kSeqNumAt], header.seq_num);
  store_le(&bytes[kEpochAt], header.epoch);
  store_le(&bytes[kTsAt], header.ts_ns);
  store_le(&bytes[kRecordCrcAt], header.record_crc);
  store_le(&bytes[kBlocksCrcAt], header.blocks_crc);
  store_le(&bytes[kStateHashAt], header.state_hash);
  store_le(&bytes[kPayloadBytesAt], header.payload_bytes);
  store_le(&bytes[kFileBytesAt], header.file_bytes);
  store_le(&bytes[kHeaderCrcAt], header_crc(bytes));
  return bytes;
}

std::string decode_snapshot_header(std::span<const std::uint8_t> bytes, SnapshotHeader& header) {
  if (bytes.size() < kSnapshotHeaderSize || load_le<std::uint64_t>(&bytes[kMagicAt]) != kMagic) {
    return "the header is not one of a snapshot";
  }
  if (const auto version = load_le<std::uint32_t>(&bytes[kVersionAt]); version != kSnapshotFormatVersion) {
    return "it has format version " + std::to_string(version) + ", this program reads version " + std::to_string(kSnapshotFormatVersion);
  }
  if (load_le<std::uint32_t>(&bytes[kHeaderCrcAt]) != header_crc(bytes.first(kSnapshotHeaderSize))) {
    return "the header is damaged";
  }
  header.config_digest = load_le<std::uint64_t>(&bytes[kConfigDigestAt]);
  header.seq_num = load_le<SeqNum>(&bytes[kSeqNumAt]);
  header.epoch = load_le<std::uint64_t>(&bytes[kEpochAt]);
  header.ts_ns = load_le<TimeNs>(&bytes[kTsAt]);
  header.record_crc = load_le<std::uint32_t>(&bytes[kRecordCrcAt]);
  header.blocks_crc = load_le<std::uint32_t>(&bytes[kBlocksCrcAt]);
  header.state_hash = load_le<std::uint64_t>(&bytes[kStateHashAt]);
  header.payload_bytes = load_le<std::uint64_t>(&bytes[kPayloadBytesAt]);
  header.file_bytes = load_le<std::uint64_t>(&bytes[kFileBytesAt]);
  return {};
}

void SnapshotWriter::put(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    if (block_.empty()) {
      block_.resize(kSnapshotBlockHeader);
    }
    const std::size_t room = kSnapshotBlockHeader + kSnapshotBlock - block_.size();
    const auto part = bytes.first(std::min(room, bytes.size()));
    block_.insert(block_.end(), part.begin(), part.end());
    bytes = bytes.subspan(part.size());
    if (part.size() == room) {
      write_block();
    }
  }
}

void SnapshotWriter::write_block() {
  const std::span<const std::uint8_t> payload = std::span<const std::uint8_t>(block_).subspan(kSnapshotBlockHeader);
  store_le(block_.data(), static_cast<std::uint32_t>(payload.size()));
  store_le(block_.data() + 4, crc32c(payload));
  crcs_.insert(crcs_.end(), block_.begin() + 4, block_.begin() + kSnapshotBlockHeader);
  if (const Transfer put = write_at(fd_, block_, at_); put.error != 0) {
    throw SnapshotError(path_ + ": cannot be written: " + error_text(put.error));
  }
  at_ += block_.size();
  payload_bytes_ += payload.size();
  block_.clear();
}

void SnapshotWriter::finish(SnapshotHeader header) {
  if (!block_.empty()) {
    write_block();
  }
  header.blocks_crc = crc32c(crcs_);
  header.payload_bytes = payload_bytes_;
  header.file_bytes = at_;
  if (const Transfer put = write_at(fd_, encode_snapshot_header(header), 0); put.error != 0) {
    throw SnapshotError(path_ + ": cannot be written: " + error_text(put.error));
  }
}

SnapshotReader::SnapshotReader(const std::string& path) : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  struct stat file {};
  if (!fd_ || ::fstat(fd_.get(), &file) != 0) {
    refuse("it cannot be opened: " + error_text(errno));
  }
  SnapshotHeaderBytes bytes{};
  const Transfer got = read_at(fd_.get(), bytes, 0);
  if (got.error != 0) {
    refuse("it cannot be read: " + error_text(got.error));
  }
  if (const std::string wrong = decode_snapshot_header(std::span(bytes).first(got.bytes), header_); !wrong.empty()) {
    refuse(wrong);
  }
  if (const auto size = static_cast<std::uint64_t>(file.st_size); size != header_.file_bytes) {
    refuse("it has " + std::to_string(size) + " bytes, its header promises " + std::to_string(header_.file_bytes));
  }
}

void SnapshotReader::refuse(const std::string& why) const { throw SnapshotError(path_ + ": " + why); }

std::size_t SnapshotReader::get(std::span<std::uint8_t> to) {
  std::size_t done = 0;
  while (done < to.size()) {
    if (taken_ == block_.size()) {
      if (at_ == header_.file_bytes) {
        break;
      }
      read_block();
    }
    const std::size_t part = std::min(to.size() - done, block_.size() - taken_);
    std::memcpy(to.data() + done, block_.data() + taken_, part);
    taken_ += part;
    done += part;
  }
  return done;
}

void SnapshotReader::read_exactly(std::span<std::uint8_t> to) {
  const Transfer got = read_at(fd_.get(), to, at_);
  if (got.bytes < to.size()) {
    refuse("offset " + std::to_string(at_ + got.bytes) + ": it cannot be read: " + (got.error == 0 ? "it ends" : error_text(got.error)));
  }
  at_ += to.size();
}

void SnapshotReader::read_block() {
  const std::uint64_t offset = at_;
  std::array<std::uint8_t, kSnapshotBlockHeader> head{};
  read_exactly(head);
  const auto size = load_le<std::uint32_t>(head.data());
  if (size == 0 || size > kSnapshotBlock || size > header_.file_bytes - at_) {
    refuse("offset " + std::to_string(offset) + ": the block's length is damaged");
  }
  block_.resize(size);
  read_exactly(block_);
  if (load_le<std::uint32_t>(&head[4]) != crc32c(block_)) {
    refuse("offset " + std::to_string(offset) + ": the block is damaged (CRC)");
  }
  crcs_.insert(crcs_.end(), head.begin() + 4, head.end());
  payload_bytes_ += size;
  taken_ = 0;
}

void SnapshotReader::check_end() const {
  if (at_ != header_.file_bytes || taken_ != block_.size()) {
    refuse("bytes are left over behind the state");
  }
  if (payload_bytes_ != header_.payload_bytes || crc32c(crcs_) != header_.blocks_crc) {
    refuse("its blocks are not the ones that the header promises");
  }
}

}  // namespace exchange
