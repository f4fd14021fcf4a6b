// The words of the log's refusals, in one place: damage is told apart from a full disk, a missing right, a bad device.
#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <filesystem>

#include "segment.hpp"

namespace exchange {

const char* fault_text(LogFault fault) noexcept {
  switch (fault) {
    case LogFault::slow:
      return "the device is behind: commands are refused until it catches up; look for other writers on the same device";
    case LogFault::disk_full:
      return "the disk is full: make room on the log's device and start again; what was acknowledged is in the log";
    case LogFault::read_only:
      return "the log folder cannot be written: check its owner, mode and mount, and start again; it is not damaged";
    case LogFault::device:
      return "the device failed: look at the system's own log before starting again; verify the log with `exchange log verify`";
    case LogFault::none:
      break;
  }
  return "the log takes commands";
}

LogFault fault_of(int error) noexcept {
  switch (error) {
    case 0:
      return LogFault::none;
    case ETIMEDOUT:
      return LogFault::slow;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return LogFault::disk_full;
    case EROFS:
    case EACCES:
    case EPERM:
      return LogFault::read_only;
    default:
      return LogFault::device;
  }
}

std::string LogProblem::text() const {
  return kind == Kind::snapshot ? segment + ": " + what : segment + ": offset " + std::to_string(offset) + ": " + what;
}

LogError log_error(const LogProblem& problem, const std::string& dir) {
  if (problem.kind == LogProblem::Kind::snapshot) {
    return LogError(problem.text() + "; nothing was changed. Restore the end of the log from a copy, or see with `exchange log repair --log-dir " +
                        dir + " --dry-run` what starting without these snapshots gives up",
                    LogCause::snapshot);
  }
  if (problem.kind == LogProblem::Kind::stuck) {
    return LogError(problem.text(), problem.cause);
  }
  return LogError(problem.text() + "; nothing was changed. See all of it with `exchange log verify --log-dir " + dir +
                  "` and what a repair would cut with `exchange log repair --log-dir " + dir +
                      " --dry-run`, or restore the folder from the standby or a backup",
                  LogCause::damage);
}

LogError system_error_of(const std::string& path, const std::string& what, int error) {
  return LogError(path + ": " + what + ": " + error_text(error) + "; " + fault_text(fault_of(error)), LogCause::system);
}

UniqueFd lock_log(const std::string& dir) {
  const std::string path = dir + "/lock";
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file) {
    const int error = errno;
    throw LogError(path + ": cannot be opened: " + error_text(error) + "; check the directory's owner, mode and mount. This is no damage",
                   LogCause::system);
  }
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    throw LogError(dir + ": another core has this log open; stop it first, or choose another log directory", LogCause::in_use);
  }
  return file;
}

}  // namespace exchange
