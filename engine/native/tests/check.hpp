// The little that the native tests need: a named test, a check that prints where it failed, and a count at the end.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace check {

struct Test {
  std::string name;
  std::function<void()> body;
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

struct Registered {
  Registered(std::string name, std::function<void()> body) { tests().push_back({std::move(name), std::move(body)}); }
};

inline void require(bool holds, const char* what, const char* file, int line) {
  if (!holds) {
    std::fprintf(stderr, "%s:%d: %s\n", file, line, what);
    std::abort();
  }
}

}  // namespace check

#define CHECK(condition) ::check::require((condition), #condition, __FILE__, __LINE__)
#define CHECK_JOIN2(a, b) a##b
#define CHECK_JOIN(a, b) CHECK_JOIN2(a, b)
// TEST("what holds") { ... }
#define TEST(name)                                                                                                 \
  static void CHECK_JOIN(test_, __LINE__)();                                                                       \
  static const ::check::Registered CHECK_JOIN(registered_, __LINE__)(name, CHECK_JOIN(test_, __LINE__));           \
  static void CHECK_JOIN(test_, __LINE__)()
