# There is no first process.
# append: rdinit=/nowhere root=/nowhere
# shellcheck shell=sh

boot1() {
  ok "this is never said"
}
