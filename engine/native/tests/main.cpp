#include <cstdio>

#include "check.hpp"

int main() {
  for (const check::Test& test : check::tests()) {
    std::printf("%s\n", test.name.c_str());
    std::fflush(stdout);
    test.body();
  }
  std::printf("%zu tests passed\n", check::tests().size());
  return check::tests().empty() ? 1 : 0;
}
