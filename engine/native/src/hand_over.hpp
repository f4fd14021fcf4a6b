// Hands things from one thread to another in order, a few at most on the way. Each keeps what it owns: a thing is
// swapped into its place and out of it, so that full and used up ones change hands without being made anew.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <utility>

namespace exchange {

template <typename T, std::size_t kPlaces>
class HandOver {
  static_assert(kPlaces >= 2);

 public:
  // Before the giving thread starts: push() will come.
  void open() noexcept {
    const std::lock_guard lock(mutex_);
    open_ = true;
    stopped_ = false;
  }
  // The giving thread: waits for a place. False: stopped; this one is handed over all the same, and must be the last.
  [[nodiscard]] bool push(T& thing) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopped_ || count_ < kPlaces - 1; });
    std::swap(places_[(first_ + count_) % kPlaces], thing);
    ++count_;
    changed_.notify_all();
    return !stopped_;
  }
  // The giving thread: that was all.
  void close() noexcept {
    const std::lock_guard lock(mutex_);
    open_ = false;
    changed_.notify_all();
  }
  // The taking thread: waits. False: nothing is there, and nothing will come.
  [[nodiscard]] bool pop(T& thing) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return count_ != 0 || !open_; });
    if (count_ == 0) {
      return false;
    }
    std::swap(thing, places_[first_]);
    first_ = (first_ + 1) % kPlaces;
    --count_;
    changed_.notify_all();
    return true;
  }
  // The taking thread: asks the other one to end.
  void stop() noexcept {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::array<T, kPlaces> places_;
  std::size_t first_ = 0;  // the oldest one on the way
  std::size_t count_ = 0;
  bool open_ = false;
  bool stopped_ = false;
};

}  // namespace exchange
