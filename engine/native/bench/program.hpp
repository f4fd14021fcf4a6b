// What every measurement of exchange_bench is given, and how it answers: one JSON object.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "clock.hpp"
#include "flow.hpp"
#include "histogram.hpp"

namespace bench {

struct Options {
  unsigned runs = 1;          // --runs
  std::string dir;            // --dir: for logs; on the disk that is to be measured
  std::string save;           // --save: folder for histograms; empty: none are written
  bool cl_ord_ids = false;    // --cl-ord-ids
  bool small = false;         // --small: a hundredth of the work, to try that all is well
  std::uint64_t rate = 0;     // --rate, per second
};

// An object under construction. Names and texts are ours and hold nothing that JSON would have escaped.
class Json {
 public:
  Json& put(std::string_view name, double value) {
    char text[40];
    std::snprintf(text, sizeof text, "%.10g", value);
    return raw(name, text);
  }
  Json& put(std::string_view name, std::uint64_t value) { return raw(name, std::to_string(value)); }
  Json& put(std::string_view name, std::string_view text) { return raw(name, '"' + std::string(text) + '"'); }
  template <std::same_as<bool> Bool>  // no pointer turns into one
  Json& put(std::string_view name, Bool value) {
    return raw(name, value ? "true" : "false");
  }
  Json& put(std::string_view name, const std::vector<double>& values) {
    std::string list;
    for (const double value : values) {
      char text[40];
      std::snprintf(text, sizeof text, "%s%.10g", list.empty() ? "" : ", ", value);
      list += text;
    }
    return raw(name, '[' + list + ']');
  }
  Json& put(std::string_view name, const Json& object) { return raw(name, object.text()); }
  Json& put(std::string_view name, const std::vector<Json>& objects) {
    std::string list;
    for (const Json& object : objects) {
      list += (list.empty() ? "" : ", ") + object.text();
    }
    return raw(name, '[' + list + ']');
  }
  [[nodiscard]] std::string text() const { return '{' + fields_ + '}'; }

 private:
  Json& raw(std::string_view name, std::string_view value) {
    fields_ += fields_.empty() ? "\"" : ", \"";
    fields_ += name;
    fields_ += "\": ";
    fields_ += value;
    return *this;
  }
  std::string fields_;
};

// 64 bits do not fit a JSON number.
[[nodiscard]] inline std::string hex(std::uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

// p50_ns to max_ns of a histogram of ticks, and how many values it holds.
[[nodiscard]] inline Json quantiles(const Histogram& histogram, const TickRate& rate) {
  Json json;
  json.put("p50_ns", rate.ns(histogram.quantile(500'000))).put("p99_ns", rate.ns(histogram.quantile(990'000)));
  json.put("p999_ns", rate.ns(histogram.quantile(999'000))).put("max_ns", rate.ns(histogram.max()));
  return json.put("count", histogram.count());
}
[[nodiscard]] inline Json gaps(const GapLog& log, const TickRate& rate) {
  Json json;
  json.put("gaps", log.gaps()).put("lost_share", log.lost_share()).put("longest_ns", rate.ns(log.longest()));
  return json.put("watched_ns", rate.ns(log.watched()));
}

// Seconds that `work` took.
template <typename Work>
double seconds(Work&& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// The flow's shape as --small and --cl-ord-ids want it.
[[nodiscard]] inline Shape sized(Shape shape, const Options& options) {
  shape.cl_ord_ids = options.cl_ord_ids;
  shape.ops /= options.small ? 100 : 1;
  shape.preload /= options.small ? 100 : 1;
  return shape;
}

// Ends the measurement: what was measured is not what was meant.
inline void need(bool holds, const std::string& what) {
  if (!holds) {
    throw std::runtime_error(what);
  }
}

// The measurements. Each throws when what it measured was not what it meant to measure.
Json one_book(const Options& options);
Json many_books(const Options& options);
Json risk(const Options& options);
Json path(const Options& options);
Json open_loop(const Options& options);
Json device(const Options& options);
Json disk(const Options& options);
Json replay(const Options& options);
Json restart(const Options& options);
Json memory(const Options& options);
Json write_flows(const Options& options);

}  // namespace bench
