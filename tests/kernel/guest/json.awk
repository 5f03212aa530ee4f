# Flattens JSON: for each scalar a line "path value", such as "0.driver e1000e" and "0.users.1 eth0". An empty
# array or object, and null, are words of their own; strings lose their quotes. Ends with 1 if it is not JSON.
{ text = text $0 "\n" }

END {
  at = 1
  value("")
  blanks()
  exit broken || at <= length(text)
}

function blanks() {
  while (at <= length(text) && index(" \t\n\r", substr(text, at, 1)) > 0) at++
}

function take(sign) {
  blanks()
  if (substr(text, at, 1) != sign) return 0
  at++
  return 1
}

function string(    start) {
  start = ++at
  while (at <= length(text) && substr(text, at, 1) != "\"") at += substr(text, at, 1) == "\\" ? 2 : 1
  at++
  return substr(text, start, at - start - 1)
}

function value(path) {
  blanks()
  if (take("{")) members(path, "}")
  else if (take("[")) members(path, "]")
  else if (substr(text, at, 1) == "\"") print path, string()
  else if (match(substr(text, at), /^[-+.0-9a-zA-Z]+/)) {
    print path, substr(text, at, RLENGTH)
    at += RLENGTH
  } else broken = 1
}

function members(path, closing,    number, name) {
  if (take(closing)) {
    print path, closing == "]" ? "[]" : "{}"
    return
  }
  do {
    name = number++
    if (closing == "}") {
      blanks()
      name = string()
      if (!take(":")) broken = 1
    }
    value(path == "" ? name : path "." name)
  } while (!broken && take(","))
  if (!take(closing)) broken = 1
}
