# The Debian release whose files are below /usr; Debian 12 where they are none.
let
  file = /usr/lib/os-release;
  is = version: builtins.match ".*VERSION_ID=\"${version}\".*" (builtins.readFile file) != null;
in
rec {
  isTrixie = builtins.pathExists file && is "13";
  name = if isTrixie then "trixie" else "bookworm";
}
