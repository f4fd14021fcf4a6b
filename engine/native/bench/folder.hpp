// A folder inside --dir that goes away with its owner.
#pragma once

#include <cstdlib>  // mkdtemp
#include <filesystem>
#include <string>

#include "program.hpp"

namespace bench {

class Folder {
 public:
  explicit Folder(const std::string& inside) {
    need(!inside.empty(), "this measurement needs --dir, a folder on the disk to measure");
    std::string made = inside + "/bench-XXXXXX";
    need(::mkdtemp(made.data()) != nullptr, inside + ": no folder can be made there");
    path_ = made;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  Folder(Folder&&) = delete;
  Folder& operator=(Folder&&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

}  // namespace bench
