#include "log_blocks.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace exchange {

BlockWriter::BlockWriter() : blocks_(kMaxBatch * kRecordSize / kBlock + 1) {}

int BlockWriter::start(const Segment& segment, SeqNum next_seq) noexcept {
  const std::uint64_t offset = segment.header.offset_of(next_seq);
  used_ = offset % kBlock;
  const Transfer got = read_at(segment.fd.get(), {bytes(), used_}, offset - used_);
  return got.error == 0 && got.bytes < used_ ? EIO : got.error;
}

BlockWriter::Outcome BlockWriter::write(Segment& segment, SeqNum first, std::size_t count) noexcept {
  const std::size_t size = count * kRecordSize;
  const std::size_t total = used_ + size;
  const std::size_t whole = (total + kBlock - 1) / kBlock * kBlock;
  std::fill(bytes() + total, bytes() + whole, std::uint8_t{0});
  const std::span<const std::uint8_t> out(bytes(), whole);
  const std::uint64_t offset = segment.header.offset_of(first) - used_;
  Outcome outcome;
  outcome.error = segment.direct ? write_at(segment.direct.get(), out, offset).error : EINVAL;
  outcome.reached = size;
  if (outcome.error == EINVAL) {  // refused before anything was written
    segment.direct.reset();
    const Transfer put = write_at(segment.fd.get(), out, offset);
    outcome.reached = std::min<std::uint64_t>(size, std::max(put.bytes, used_) - used_);
    outcome.error = put.error != 0 ? put.error : sync_data(segment.fd.get());
  }
  if (outcome.error == 0) {
    used_ = total % kBlock;
    std::memmove(bytes(), bytes() + total - used_, used_);
    if (first + count == segment.header.end_seq_num()) {
      used_ = 0;  // the next segment begins with a block of its own
    }
  }
  return outcome;
}

}  // namespace exchange
