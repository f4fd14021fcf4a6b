#include "log_scan.hpp"

#include <algorithm>
#include <array>

namespace exchange {

void LogScan::run(const std::vector<Segment>& segments) {
  SeqNum first = 1;
  std::uint64_t index = 1;
  std::uint64_t epoch = 0;
  for (const Segment& segment : segments) {
    check_header(segment, first, index);
    if (segment.header.epoch < epoch) {
      throw log_error_at(segment.path, 40, "the segment's epoch is older than that of the segment before it");
    }
    epoch = segment.header.epoch;
    first = segment.end_seq_num();
    ++index;
  }
  for (const Segment& segment : segments) {
    scan(segment);
  }
}

void LogScan::check_header(const Segment& segment, SeqNum expected_first, std::uint64_t expected_index) const {
  const SegmentHeader& header = segment.header;
  if (header.index != expected_index) {
    throw log_error_at(segment.path, 0, "segment " + std::to_string(expected_index) + " before it is missing");
  }
  if (header.first_seq_num != expected_first) {
    throw log_error_at(segment.path, 24, "the segment starts at seq_num " + std::to_string(header.first_seq_num) + ", not at " +
                                             std::to_string(expected_first) + ": a segment before it is missing or replaced");
  }
  if (header.config_digest != config_.config_digest) {
    throw log_error_at(segment.path, 48,
                       "the log was written under another instrument configuration and would replay differently (the list of "
                       "instruments is fixed for the life of a log: start with the list and limits it was written under, "
                       "or give another list a new log folder)");
  }
  if (header.epoch > config_.epoch) {
    throw log_error_at(segment.path, 40, "the log holds epoch " + std::to_string(header.epoch) + ", newer than this core's epoch " +
                                             std::to_string(config_.epoch) + ": another core took over");
  }
}

void LogScan::scan(const Segment& segment) {
  constexpr std::uint64_t kChunkRecords = 4096;
  std::vector<std::uint8_t> chunk(kChunkRecords * kRecordSize);
  for (std::uint64_t at = 0; at < segment.header.records; at += kChunkRecords) {
    const std::uint64_t count = std::min(kChunkRecords, segment.header.records - at);
    const SeqNum first = segment.header.first_seq_num + at;
    const std::span<std::uint8_t> part = std::span(chunk).first(count * kRecordSize);
    const Transfer got = read_at(segment.fd.get(), part, segment.offset_of(first));
    if (got.bytes < part.size()) {
      throw log_error_at(segment.path, segment.offset_of(first) + got.bytes, "the segment cannot be read: " + error_text(got.error));
    }
    for (std::uint64_t i = 0; i < count; ++i) {
      place(segment, first + i, std::span<const std::uint8_t, kRecordSize>(part.data() + i * kRecordSize, kRecordSize));
    }
  }
}

void LogScan::place(const Segment& segment, SeqNum seq_num, std::span<const std::uint8_t, kRecordSize> bytes) {
  LogRecord record;
  const RecordState state = decode_record(bytes, record);
  if (hole_) {
    if (state != RecordState::empty) {
      behind_hole(segment, seq_num, state, record);
    }
    return;
  }
  if (state == RecordState::valid) {
    keep(segment, record);
    return;
  }
  hole_ = Hole{seq_num, segment.path, segment.offset_of(seq_num)};
  if (state == RecordState::damaged) {
    torn_ = TornTail{seq_num, seq_num, 1};
  }
}

void LogScan::check_seq_num(const Segment& segment, SeqNum seq_num, const LogRecord& record) const {
  if (record.seq_num != seq_num) {
    throw log_error_at(segment.path, segment.offset_of(seq_num),
                       "seq_num " + std::to_string(record.seq_num) + " stands in the place of " + std::to_string(seq_num));
  }
}

void LogScan::keep(const Segment& segment, const LogRecord& record) {
  check_seq_num(segment, next_seq_, record);
  const std::uint64_t offset = segment.offset_of(next_seq_);
  if (record.epoch < epoch_) {
    throw log_error_at(segment.path, offset, "epoch " + std::to_string(record.epoch) + " after epoch " + std::to_string(epoch_));
  }
  if (record.epoch > config_.epoch) {
    throw log_error_at(segment.path, offset, "epoch " + std::to_string(record.epoch) + " is newer than this core's epoch " +
                                                 std::to_string(config_.epoch) + ": another core took over");
  }
  const bool same_batch = record.batch_first_seq == batch_first_seq_;
  if (record.batch_first_seq > next_seq_ || (!same_batch && record.batch_first_seq != next_seq_)) {
    throw log_error_at(segment.path, offset, "the record belongs to a batch that does not begin where the one before ends");
  }
  if (record.command.ts_ns < ts_ns_) {
    throw log_error_at(segment.path, offset, "the time of the record lies before that of the record in front of it");
  }
  apply_(record);
  epoch_ = record.epoch;
  batch_first_seq_ = record.batch_first_seq;
  ts_ns_ = record.command.ts_ns;
  ++next_seq_;
}

// Something stands behind a place without a good record. A torn write of the last batch leaves only records of
// that batch there, within its greatest length; anything else means that answered records are gone.
void LogScan::behind_hole(const Segment& segment, SeqNum seq_num, RecordState state, const LogRecord& record) {
  if (state == RecordState::valid) {
    check_seq_num(segment, seq_num, record);
  }
  const bool later_batch = state == RecordState::valid && record.batch_first_seq > hole_->seq_num;
  if (later_batch || seq_num >= hole_->seq_num + kMaxBatch) {
    throw log_error_at(hole_->path, hole_->offset,
                       "the record of seq_num " + std::to_string(hole_->seq_num) + " is damaged or missing, but a later batch follows at " +
                           segment.path + " offset " + std::to_string(segment.offset_of(seq_num)));
  }
  if (!torn_) {
    torn_ = TornTail{hole_->seq_num, seq_num, 0};
  }
  torn_->to_seq = seq_num;
  ++torn_->records;
}

}  // namespace exchange
