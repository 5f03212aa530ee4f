#pragma once

namespace anybind::cli {

/// From now on Ctrl-C and SIGTERM end a change at the next step, and it is rolled back, which they
/// do not disturb. Nothing else ends it: not a hang-up (giving away the card of one's own ssh
/// session is usual, and the change is what was asked for), not a pipe without reader, a limit of
/// file sizes or a terminal that lets only the foreground write. System calls go on (SA_RESTART): a
/// write into the kernel is never cut short.
void catch_signals();
/// Whether catch_signals() was called: then the exit code tells what became of the machine, also
/// when nobody could be told more.
[[nodiscard]] bool is_change();
/// Ctrl-C or SIGTERM has come.
[[nodiscard]] bool is_interrupted();

/// What Ctrl-C is answered with at once, on standard error: a whole line, which lives on; nullptr:
/// nothing.
void answer_stop_with(const char* words);
/// A line of progress stands there, which is taken away first. Returns what was so before.
bool progress_shown(bool shown);

}  // namespace anybind::cli
