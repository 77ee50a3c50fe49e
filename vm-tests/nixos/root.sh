#!/bin/sh
# Makes a root of Debian one that NixOS can boot on: root.sh ROOT
#
# Programs and libraries stay where they are. What systemd would read on its own goes to /usr/share/debian, where the
# packages of services.nix find it: on NixOS /etc alone says what runs. Of /etc stays what Debian's programs cannot do
# without.
set -eu
cd "$1"
[ -d usr/share/debian ] && exit 0

mkdir -p usr/share/debian.new/systemd
for folder in system user; do
  mv "usr/lib/systemd/$folder" usr/share/debian.new/systemd/
done
# Debian's logind looks for the bus's unit where it was.
sed -i '/^ConditionPathExists=|.*dbus/d' usr/share/debian.new/systemd/system/systemd-logind.service
rm -rf usr/lib/systemd/system-preset usr/lib/systemd/user-preset
for folder in tmpfiles.d sysctl.d sysusers.d modules-load.d environment.d; do
  if [ -d "usr/lib/$folder" ]; then mv "usr/lib/$folder" usr/share/debian.new/; fi
  mkdir -p "usr/share/debian.new/$folder"
done

mv etc usr/share/debian.new/etc
mkdir etc
for entry in alternatives perl python3 python3.* ld.so.cache ld.so.conf ld.so.conf.d postgresql-common; do
  if [ -e "usr/share/debian.new/etc/$entry" ]; then cp -a "usr/share/debian.new/etc/$entry" etc/; fi
done
# The system's users come with its activation. Until then it is root who builds.
echo 'root:x:0:0::/root:/bin/bash' >etc/passwd
echo 'root:x:0:' >etc/group
mkdir -p etc/nixos nix/var/nix/profiles
rm -rf var/lib/postgresql var/lib/redis var/lib/systemd run/*
# Suites call it by this name.
ln -s /run/current-system/sw/bin/osmoda usr/bin/osmoda
mv usr/share/debian.new usr/share/debian
