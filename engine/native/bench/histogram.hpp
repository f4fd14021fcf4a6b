// A histogram with three significant digits at any size of value, in the manner of HdrHistogram: below 2,048 every value
// has a bucket, and from there each doubling has 1,024. record() is a shift and an increment.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench {

class Histogram {
 public:
  Histogram() : counts_(kSlots, 0) {}

  void record(std::uint64_t value) noexcept {
    ++counts_[slot(value)];
    ++count_;
    max_ = std::max(max_, value);
  }
  void add(const Histogram& other) noexcept {
    for (std::size_t i = 0; i < kSlots; ++i) {
      counts_[i] += other.counts_[i];
    }
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
  }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t max() const noexcept { return max_; }
  // The smallest value that at least `per_million` of a million recorded ones do not exceed, to three digits. 0 when empty.
  [[nodiscard]] std::uint64_t quantile(std::uint64_t per_million) const noexcept {
    const std::uint64_t wanted = std::max<std::uint64_t>(1, (count_ * per_million + 999'999) / 1'000'000);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kSlots; ++i) {
      seen += counts_[i];
      if (seen >= wanted) {
        return std::min(highest(i), max_);
      }
    }
    return max_;
  }
  // Writes "value count" for every bucket that is not empty, the value being `scale` times the bucket's highest.
  void save(const std::string& path, double scale, const char* unit) const {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "w"), &std::fclose);
    if (!file) {
      throw std::runtime_error(path + ": cannot be written");
    }
    std::fprintf(file.get(), "# value_%s count\n", unit);
    for (std::size_t i = 0; i < kSlots; ++i) {
      if (counts_[i] != 0) {
        std::fprintf(file.get(), "%.1f %llu\n", static_cast<double>(highest(i)) * scale, static_cast<unsigned long long>(counts_[i]));
      }
    }
  }

 private:
  static constexpr unsigned kLinearBits = 11;
  static constexpr std::size_t kLinear = std::size_t{1} << kLinearBits;
  static constexpr std::size_t kHalf = kLinear / 2;
  static constexpr unsigned kValueBits = 48;  // larger values count as the largest
  static constexpr std::size_t kSlots = kLinear + (kValueBits - kLinearBits) * kHalf;

  static std::size_t slot(std::uint64_t value) noexcept {
    if (value < kLinear) {
      return static_cast<std::size_t>(value);
    }
    value = std::min(value, (std::uint64_t{1} << kValueBits) - 1);
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - kLinearBits;
    return kLinear + (shift - 1) * kHalf + static_cast<std::size_t>((value >> shift) - kHalf);
  }
  static std::uint64_t highest(std::size_t slot) noexcept {
    if (slot < kLinear) {
      return slot;
    }
    const std::size_t doubling = (slot - kLinear) / kHalf;
    const std::uint64_t top = (slot - kLinear) % kHalf + kHalf;
    return ((top + 1) << (doubling + 1)) - 1;
  }

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace bench
