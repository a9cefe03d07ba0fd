// SPDX-License-Identifier: Apache-2.0
// What a function writes to standard error when it aborts, run in a process of its own.
#pragma once

#include <csignal>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

namespace rideau {

// The last words, or "it lives" when the function returned.
template <class Function>
std::string last_words(Function function) {
  int ends[2];
  if (::pipe(ends) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGABRT, SIG_DFL);
    ::signal(SIGSEGV, SIG_DFL);
    ::dup2(ends[1], 2);
    ::close(ends[0]);
    function();
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string words;
  char piece[512];
  for (;;) {
    const ssize_t count = ::read(ends[0], piece, sizeof piece);
    if (count <= 0) break;
    words.append(piece, static_cast<std::size_t>(count));
  }
  ::close(ends[0]);
  int how = 0;
  ::waitpid(child, &how, 0);
  if (WIFSIGNALED(how)) return WTERMSIG(how) == SIGABRT ? words : "killed by signal " + std::to_string(WTERMSIG(how));
  return "it lives " + words;
}

}  // namespace rideau
