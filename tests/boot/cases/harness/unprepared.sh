# The root cannot be prepared, so nothing boots.
# shellcheck shell=sh

prepare() {
  ok "this holds"
  false
}

boot1() {
  ok "this is never said"
}
