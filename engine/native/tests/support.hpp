// Helpers shared by the native tests and the fuzz targets.
#pragma once

#include <cstdint>
#include <cstdlib>  // mkdtemp
#include <filesystem>
#include <string>

#include "exchange/types.hpp"

namespace support {

// A fixed sequence per seed, the same on every platform.
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t mixed = (state_ ^ (state_ >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBULL;
    return mixed ^ (mixed >> 31U);
  }
  // 0..bound-1
  std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }

 private:
  std::uint64_t state_;
};

// A directory that goes away with its owner.
class TempDir {
 public:
  TempDir() {
    std::string made = (std::filesystem::temp_directory_path() / "exchange-XXXXXX").string();
    path_ = ::mkdtemp(made.data()) != nullptr ? made : std::string();
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  TempDir(TempDir&&) = delete;
  TempDir& operator=(TempDir&&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

inline exchange::Command new_order(exchange::Side side, exchange::Price price, exchange::Qty qty, exchange::FirmId firm = 1,
                                   exchange::TimeInForce tif = exchange::TimeInForce::day) {
  exchange::Command command;
  command.side = side;
  command.price_ticks = price;
  command.qty = qty;
  command.firm = firm;
  command.tif = tif;
  return command;
}

inline exchange::Command cancel(exchange::OrderId order_id, exchange::FirmId firm = 1) {
  exchange::Command command;
  command.kind = exchange::CommandKind::cancel;
  command.order_id = order_id;
  command.firm = firm;
  return command;
}

}  // namespace support
