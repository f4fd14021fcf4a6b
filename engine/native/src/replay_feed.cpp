#include "replay_feed.hpp"

#include <system_error>
#include <utility>

namespace exchange {

ReplayFeed::ReplayFeed(const std::string& log_dir, SeqNum from) : reader_(log_dir, from), config_digest_(reader_.config_digest()) {}

ReplayFeed::~ReplayFeed() { pause(); }

bool ReplayFeed::read(FeedBatch& batch) {
  batch.first_seq_num = reader_.next_seq_num();
  const std::size_t count = reader_.next(records_);
  batch.commands.clear();
  batch.rests.clear();
  for (const LogRecord& record : std::span(records_).first(count)) {
    batch.commands.push_back(record.command);
    batch.rests.push_back({record.epoch, record.crc});
  }
  return count != 0;
}

bool ReplayFeed::next(FeedBatch& batch) {
  if (ahead_.pop(batch)) {
    return true;
  }
  pause();
  if (read(batch)) {
    return true;
  }
  if (reader_.stop() != LogReader::Stop::end && reader_.stop() != LogReader::Stop::unfinished) {
    throw LogError(reader_.stop_text(), reader_.stop() == LogReader::Stop::unreadable ? LogCause::system : LogCause::damage);
  }
  try {
    reader_.check_tail();
  } catch (const LogError&) {
    if (!read(batch)) {
      throw;
    }
    return true;  // the log has grown between the two looks
  }
  return false;
}

void ReplayFeed::read_ahead() {
  if (thread_.joinable()) {
    return;
  }
  ahead_.open();
  try {
    thread_ = std::thread([this] { read_until_told(); });
  } catch (const std::system_error&) {
    ahead_.close();  // no thread to be had: it goes on without
  }
}

void ReplayFeed::pause() noexcept {
  if (thread_.joinable()) {
    ahead_.stop();
    thread_.join();
  }
}

// Whatever ends it, an exception too, is met again by next(), which reads on without the thread.
void ReplayFeed::read_until_told() noexcept {
  try {
    FeedBatch batch;
    while (read(batch) && ahead_.push(batch)) {
    }
  } catch (...) {  // NOLINT(bugprone-empty-catch)
  }
  ahead_.close();
}

}  // namespace exchange
