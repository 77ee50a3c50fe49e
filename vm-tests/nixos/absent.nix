# Names that modules of NixOS mention, of packages that no machine of the tests has.
[
  "audit"
  "bcache-tools"
  "dosfstools"
  "fish"
  "host"
  "kexec-tools"
  "lesspipe"
  "makeInitrdNGTool"
  "nixos-container"
  "xonsh"
  "zsh"
]
