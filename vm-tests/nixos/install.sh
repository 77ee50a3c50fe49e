#!/bin/sh
# In the machine: makes a package of osModa's files in /root/osmoda-files, and the machine's system one with osModa.
set -eu
cd /etc/nixos
for file in all classic flake system; do cp "source/vm-tests/nixos/etc/$file.nix" .; done

files=$(nix-store --add /root/osmoda-files)
rm -rf /root/osmoda-files
package=$(nix-build --no-out-link source/vm-tests/nixos/package.nix --argstr files "$files" --arg nixpkgs ./nixpkgs)

cat >osmoda.nix <<END
{ lib, ... }:
{
  services.osmoda = {
    enable = true;
    package = "$package";
    backend = lib.mkDefault "nixos";
    nixos.system = lib.mkDefault "/etc/nixos/system.nix";
    # Nobody waits longer than needed.
    safeSwitch = { ttl = "2s"; interval = "500ms"; };
  };
}
END

system=$(nix-build --no-out-link system.nix -A config.system.build.toplevel)
nix-env -p /nix/var/nix/profiles/system --set "$system"
"$system/bin/switch-to-configuration" switch
