// usage: exchange_tests [part of a test's name]...   without one: all tests
#include <algorithm>
#include <cstdio>
#include <string_view>

#include "check.hpp"

int main(int argc, char** argv) {
  std::size_t passed = 0;
  for (const check::Test& test : check::tests()) {
    const auto names_it = [&test](const char* part) { return test.name.find(part) != std::string::npos; };
    if (argc > 1 && std::none_of(argv + 1, argv + argc, names_it)) {
      continue;
    }
    std::printf("%s\n", test.name.c_str());
    std::fflush(stdout);
    test.body();
    ++passed;
  }
  std::printf("%zu tests passed\n", passed);
  return passed == 0 ? 1 : 0;
}
