#!/bin/sh
# Installs osModa on NixOS, Debian 12 or newer, and Ubuntu 22.04 or newer; docs/install.md says what it does and keeps.
# It looks at everything before it changes anything, may be killed at any instant, and is then run again.
set -eu
umask 022
unset CDPATH
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin

STATE=/var/lib/osmoda-installer # which files it has put, and what it had begun
SYSTEMD=249
KERNEL=506 # 5.6: openat2(2)
NIX="nix-bin nix-setup-systemd"
REPOSITORY=https://github.com/osmoda/osmoda
# What osModa keeps; a purge takes it away.
DATA="/etc/osmoda /var/lib/osmoda /var/lib/osmoda-witness /var/lib/private/osmoda-witness /nix/var/nix/gcroots/osmoda"
DATA="$DATA /var/lib/systemd/timers/stamp-osmoda-routine-*.timer"
PROFILE=/nix/var/nix/profiles/osmoda

help() {
  cat <<'END'
Usage: install.sh [--from FILE|URL] [OPTION...]     install, or upgrade
       install.sh --uninstall [--purge] [OPTION...] take away

  --from FILE|URL    a release: osmoda-VERSION-ARCH-linux.tar.gz or osmoda_VERSION_ARCH.deb.
                     Without it: the unpacked release that this script is in.
  --sha256 HEX       its checksum. Without it: that of the file SHA256SUMS beside the release
  --allow-downgrade  an older version than the one that is there
  --source PATH|URL  NixOS: osModa's sources. Default: those that the unpacked release is of
  --uninstall        take programs and units away; documents, ledger, generations and data stay
  --purge            with --uninstall: take those away, too; data of apps stays
  --convert          tell how to make this machine a NixOS one
  --dry-run          look, tell what would be done, change nothing

Exit status:
  0  done, or nothing to do       3  the machine does not fit; nothing was changed
  1  failed on the way: run it    4  what is to be installed cannot be had, or is not
     again, it goes on               what its checksum says; nothing was changed
  2  wrong arguments              5  installed, but osModa does not answer
END
}

say() { printf '%s\n' "$@"; }
die() {
  told=$1
  shift
  printf 'install.sh: %s\n' "$*" >&2
  exit "$told"
}

# --- What kind of machine ---------------------------------------------------------------------------------------------

# True when $1 is not newer than $2.
older() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# The value of $2 in the file $1 (os-release(5)), which is read and not run.
release_value() { sed -n "s/^$2=//p" "$1" | head -n 1 | sed "s/^[\"']//; s/[\"']\$//"; }

# Prints nixos or debian; fails with what is wrong. $1: a file as os-release(5).
system_kind() {
  [ -r "$1" ] || { say "$1 cannot be read: this is no system that osModa knows" && return 1; }
  id=$(release_value "$1" ID)
  version=$(release_value "$1" VERSION_ID)
  name=$(release_value "$1" PRETTY_NAME)
  case $id in
  nixos) say nixos && return 0 ;;
  # Testing and unstable have no number.
  debian) oldest=12.0 have=${version:-99} ;;
  ubuntu) oldest=22.04 have=$version ;;
  *) say "${name:-this system} is neither NixOS nor Debian nor Ubuntu" && return 1 ;;
  esac
  case $have in *.*) ;; *) have=$have.0 ;; esac
  if older "$oldest" "$have"; then
    say debian
  else
    say "$name is too old: Debian 12 and Ubuntu 22.04 are the oldest" && return 1
  fi
}

# Prints none, debian, or the sign of a Nix from elsewhere. Their databases differ: two cannot share /nix.
nix_kind() {
  for sign in /nix/receipt.json /nix/nix-installer; do
    [ ! -e "$sign" ] || { say "$sign" && return; }
  done
  case $(readlink /etc/systemd/system/nix-daemon.service || true) in
  /nix/*) say /etc/systemd/system/nix-daemon.service && return ;;
  esac
  [ "$(package_state nix-bin)" != installed ] || { say debian && return; }
  for sign in /nix/var/nix/profiles/default/bin/nix-store /root/.nix-profile/bin/nix-store /usr/local/bin/nix-store; do
    [ ! -e "$sign" ] || { say "$sign" && return; }
  done
  [ ! -d /nix/store ] || [ "$(stat -c %u /nix/store)" = 0 ] || { say "/nix/store, which is a user's" && return; }
  say none
}

package_state() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || true; }
package_version() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null || true; }

# Reads lines of "FOLDER MIB" and prints what is too small.
space_missing() {
  while read -r folder need; do
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    df -Pk "$folder" | awk -v need="$need" 'NR == 2 { print $NF, int($4 / 1024), need }'
  done | awk '{ free[$1] = $2; need[$1] += $3 }
    END { for (at in need) if (free[at] < need[at]) printf "%s has %d MiB of %d; ", at, free[at], need[at] }'
}

check_machine() {
  [ -d /run/systemd/system ] || die 3 "systemd is not process 1 here: osModa lives on it"
  have=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
  [ "${have:-0}" -ge $SYSTEMD ] || die 3 "systemd is ${have:-unknown}, and $SYSTEMD is needed"
  have=$(uname -r | awk -F '[.-]' '{ print $1 * 100 + $2 }')
  [ "$have" -ge $KERNEL ] || die 3 "the kernel is $(uname -r), and 5.6 is needed"
  for folder in /usr/bin /etc /var/lib; do
    [ -w "$folder" ] || [ "$(id -u)" != 0 ] || die 3 "$folder cannot be written: is it mounted read-only?"
  done
  nix=$(nix_kind)
  case $nix in
  none | debian) ;;
  *) die 3 "there is a Nix that is not the distribution's ($nix): see \"Another Nix\" in docs/install.md" ;;
  esac
  packages=
  for package in $NIX; do [ "$(package_state "$package")" = installed ] || packages="$packages $package"; done
  [ -S /run/dbus/system_bus_socket ] || packages="$packages dbus"
  missing=$(printf '/usr %s\n/var 200\n/nix 50\n' "$([ -z "$packages" ] && echo 150 || echo 400)" | space_missing)
  [ -z "$missing" ] || die 3 "there is too little room (MiB): $missing"
}

# Nothing of osModa's is stopped or started anew while a switch is in flight: its runner is there, or its dead-man.
check_switches() {
  [ -z "$(systemctl list-units --no-legend --state=active,activating,deactivating \
    'osmoda-switch-*.service' 'osmoda-deadman-*.timer' 'osmoda-deadman-*.service')" ] ||
    die 3 "a switch is in flight: wait for its end (\`osmoda status\`)"
}

# What apt-get needs. One that this script's own run has cut off is mended.
check_packages() {
  ! half_done || wait_for_others
  half_done || return 0
  mend=yes
  [ -e $STATE/unfinished ] || die 3 "dpkg was interrupted: run \`dpkg --configure -a\` first"
}

# `dpkg --audit` would tell as well what is only untidy.
half_done() {
  [ "$(ls /var/lib/dpkg/updates)" ] ||
    dpkg-query -W -f '${db:Status-Status}\n' | grep -Eq '^(half-|unpacked|triggers-)'
}

# Waits for a dpkg or an apt-get that is at work; ends with $1 or 3 when it takes too long. Their locks are fcntl(2)'s,
# which flock(1) does not see.
wait_for_others() {
  tries=0
  for lock in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock; do
    while [ -e $lock ] && grep -q ":$(stat -c %i $lock) " /proc/locks; do
      [ $tries != 0 ] || say "Packages are being installed by somebody else: waiting."
      tries=$((tries + 1))
      [ $tries -lt 300 ] || die "${1:-3}" "somebody else is still installing packages"
      sleep 1
    done
  done
}

# --- What is to be installed ------------------------------------------------------------------------------------------

# Brings the file or address $1 to the path $2.
bring() {
  rest=${1#*://} secure='=https'
  if [ "$rest" = "$1" ]; then
    [ -f "$1" ] || die 4 "there is no file $1"
    cp -- "$1" "$2"
    return
  fi
  case ${rest%%/*} in *@*) die 2 "a password in an address can be read by all: download it, and give the file" ;; esac
  case $1 in
  https://*) ;;
  http://*) [ -n "$sha256" ] && secure='=https,http' || die 2 "what comes over http is anybody's: say --sha256" ;;
  *) die 2 "$1: only http and https are known" ;;
  esac
  command -v curl >/dev/null || die 3 "curl is not installed: download $1, and give the file"
  curl -fsSL --proto "$secure" --proto-redir "$secure" -o "$2" "$1" || die 4 "$1 cannot be downloaded"
}

# Brings the release to $work and compares it with its checksum. Sets $archive, or $new to the unpacked release.
fetch() {
  archive='' new=
  if [ -z "$from" ]; then
    new=$(cd "$(dirname "$0")" && pwd)
    [ -e "$new/usr/lib/osmoda/BUILDINFO" ] || die 2 "say what to install: --from FILE|URL"
  else
    name=${from%%[?#]*}
    name=${name##*/}
    case $name in *.tar.gz | *.deb) ;; *) die 2 "$name is neither a .tar.gz nor a .deb" ;; esac
    archive=$work/$name
    # The copy is what is compared, and what is installed.
    bring "$from" "$archive"
    expected=$sha256
    if [ -z "$expected" ]; then
      case $from in */*) beside=${from%/*}/SHA256SUMS ;; *) beside=./SHA256SUMS ;; esac
      bring "$beside" "$work/SHA256SUMS"
      expected=$(awk -v name="$name" '$2 == name || $2 == "*" name { print $1; exit }' "$work/SHA256SUMS")
      [ -n "$expected" ] || die 4 "$beside does not name $name"
    fi
    actual=$(sha256sum <"$archive" | cut -d ' ' -f 1)
    [ "$actual" = "$expected" ] || die 4 "$name is not what was released: its checksum is $actual, and not $expected"
    case $name in *.deb) return ;; esac
    mkdir "$work/unpacked"
    tar -xzf "$archive" -C "$work/unpacked" --no-same-owner || die 4 "$name cannot be unpacked"
    new=$(echo "$work"/unpacked/*)
  fi
  (cd "$new" && sha256sum --check --quiet --strict SHA256SUMS) || die 4 "the release in $new is not whole"
  architecture=$(sed -n 's/^Architecture: //p' "$new/usr/lib/osmoda/BUILDINFO")
  machine=$(dpkg --print-architecture)
  case $architecture:$machine in
  x86_64:amd64 | aarch64:arm64) ;;
  *) die 3 "this release is for $architecture, and this system is of $machine" ;;
  esac
}

# --- Steps ------------------------------------------------------------------------------------------------------------

# Puts $1.new in the place of $1; after a power cut, one of them is there, whole.
replace() {
  sync "$1.new"
  mv -f "$1.new" "$1"
  sync "${1%/*}" "$(dirname "${1%/*}")"
}

# Written down before the first change: a run that was cut off is known by it, and what it had still to enable.
begin() {
  { echo "$@" && cat $STATE/unfinished 2>/dev/null; } | sort -u >$STATE/unfinished.new
  replace $STATE/unfinished
}

# A file of the operator's stays as it is; a package manager that is busy is waited for.
apt_get() {
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
    -o Dpkg::Options::=--force-confold --no-install-recommends "$@"
}

# Sets right what check_packages has found to be this script's.
mend_packages() {
  [ "$mend" ] || return 0
  wait_for_others 1
  DEBIAN_FRONTEND=noninteractive dpkg --force-confold --configure -a
}

# Installs packages; where the lists of what there is are missing or too old, once more with new ones.
install_packages() {
  mend_packages
  apt_get install "$@" && return
  say "  once more, with new lists of packages"
  apt_get update && apt_get install "$@" && return
  die 1 "apt-get cannot install $* (on Ubuntu, Nix is in \`universe\`). When it can, run this again"
}

# The release may have been unpacked by a user, with a umask.
mode() { if [ -x "$new/$1" ]; then say 755; else say 644; fi; }

# Puts $new/$1 to /$1 in one step.
put() {
  mkdir -p "/${1%/*}"
  rm -f "/$1.osmoda-new"
  cp -dp "$new/$1" "/$1.osmoda-new"
  chown -h root:root "/$1.osmoda-new"
  [ -L "$new/$1" ] || { chmod "$(mode "$1")" "/$1.osmoda-new"; sync "/$1.osmoda-new"; }
  mv -fT "/$1.osmoda-new" "/$1"
}

is_same() {
  if [ -L "$new/$1" ]; then
    [ "$(readlink "/$1")" = "$(readlink "$new/$1")" ]
  else
    [ ! -L "/$1" ] && cmp -s "$new/$1" "/$1" && [ "$(stat -c %u:%a "/$1")" = "0:$(mode "$1")" ]
  fi
}

# Takes the files away that are named line by line; units among them are stopped and disabled.
take_away() {
  while read -r path; do
    if [ "${path%/*}" = usr/lib/systemd/system ]; then
      systemctl --quiet stop "${path##*/}" 2>/dev/null || true
      rm -f /etc/systemd/system/*.wants/"${path##*/}"
    fi
    rm -f "/$path" "/$path.osmoda-new"
  done
}

# The units below $1 that are there to be enabled.
own_units() { (cd "$1/usr/lib/systemd/system" && grep -ls '^\[Install\]' osmoda-* | sort); }

answers() { ! systemctl is-active --quiet osmoda-agentd || timeout 5 osmoda status >/dev/null 2>&1; }

# Those units that are enabled and do not run. One that is disabled is so by the operator's will.
idle_units() {
  for unit in $(own_units ''); do
    [ "$(systemctl is-enabled "$unit" 2>/dev/null || true)" != enabled ] ||
      systemctl is-active --quiet "$unit" || printf ' %s' "$unit"
  done
}

wait_for_answer() {
  tries=0
  while idle=$(idle_units) && { [ "$idle" ] || ! answers; }; do
    tries=$((tries + 1))
    [ $tries -lt 30 ] ||
      die 5 "it is installed, and does not run or answer:${idle:- osmoda-agentd.service}; see \`journalctl -u UNIT\`"
    sleep 1
  done
  rm -f $STATE/unfinished
  say "osModa $version is installed. Next: \`osmoda status\`, \`osmoda explain App\`."
}

keep_version() { [ "$downgrade" ] || die 3 "$version is older than $before, which is there: say --allow-downgrade"; }

install_tarball() {
  [ "$(package_state osmoda)" != installed ] || die 3 "osModa is there as a .deb: give a .deb, or say --uninstall first"
  [ -z "$packages" ] || check_packages
  version=$(sed -n 's/^Version: //p' "$new/usr/lib/osmoda/BUILDINFO")
  before=$(sed -n 's/^Version: //p' /usr/lib/osmoda/BUILDINFO 2>/dev/null || true)
  # What has no checksum is not of the release.
  (cd "$new" && sed -n 's,^[0-9a-f]*  \(usr/.*\),\1,p' SHA256SUMS && find usr -type l) | sort >"$work/files"
  cat $STATE/manifest >"$work/before" 2>/dev/null || true
  while read -r path; do is_same "$path" || say "$path"; done <"$work/files" >"$work/changed"
  comm -13 "$work/files" "$work/before" >"$work/stale"
  comm -23 "$work/changed" "$work/before" | while read -r path; do
    [ ! -e "/$path" ] || say "/$path"
  done >"$work/strange"
  [ ! -s "$work/strange" ] || die 3 "this is there, and not from this script: $(tr '\n' ' ' <"$work/strange")"
  if [ -n "$before" ] && [ "$version" != "$before" ] && older "$version" "$before"; then keep_version; fi
  units=$(own_units "$new")
  fresh=
  for unit in $units; do
    [ "$(systemctl is-enabled "$unit" 2>/dev/null || true)" != masked ] || continue
    grep -qx "usr/lib/systemd/system/$unit" "$work/before" && ! grep -qsw "$unit" $STATE/unfinished ||
      fresh="$fresh $unit"
  done
  if [ -z "$packages$fresh" ] && [ -z "$(idle_units)" ] && [ ! -s "$work/changed" ] && [ ! -s "$work/stale" ] &&
    [ ! -e $STATE/unfinished ] && [ -e /etc/osmoda/agentd.yaml ]; then
    say "osModa $version is installed and runs; there is nothing to do."
    return
  fi
  check_switches
  say "osModa $version${before:+, over $before}:"
  [ -z "$packages" ] || say "  apt-get installs$packages"
  [ "$(package_state osmoda)" != config-files ] ||
    say "  osModa's .deb was removed and not purged: dpkg --purge would take /etc/osmoda/agentd.yaml away, and no more"
  say "  $(wc -l <"$work/changed") files are put below /usr, $(wc -l <"$work/stale") taken away"
  [ -e /etc/osmoda/agentd.yaml ] || say "  /etc/osmoda/agentd.yaml is put"
  [ -z "$fresh" ] || say "  enabled are$fresh"
  say "  osModa's daemons are started${before:+ anew; what apps run goes on}"
  [ -z "$dry" ] || return 0

  begin "install$fresh"
  # shellcheck disable=SC2086
  [ -z "$packages" ] || install_packages $packages
  # From here on, an uninstallation knows all that may be there.
  sort -u "$work/files" "$work/before" >$STATE/manifest.new
  replace $STATE/manifest
  while read -r path; do put "$path"; done <"$work/changed"
  take_away <"$work/stale"
  [ -e /etc/osmoda/agentd.yaml ] || put etc/osmoda/agentd.yaml
  # What is on the disk is no longer written down as unfinished: so are the names of what was put.
  sed 's,/[^/]*$,,' "$work/files" | sort -u | (cd / && xargs sync etc/osmoda)
  cp "$work/files" $STATE/manifest.new
  replace $STATE/manifest
  systemctl daemon-reload
  # shellcheck disable=SC2086
  [ -z "$fresh" ] || systemctl --quiet enable $fresh
  for unit in $units; do
    systemctl is-enabled --quiet "$unit" 2>/dev/null || continue
    # What osmoda-boot does belongs to the time before all others; a socket outlives its service.
    case $unit in osmoda-boot.service | *.socket) how=start ;; *) how=restart ;; esac
    # One that fails is told below, and keeps no other from its new program.
    systemctl $how "$unit" || true
  done
  # It is started by the operator alone.
  systemctl try-restart osmoda-keyd.service || true
  wait_for_answer
}

install_package() {
  [ ! -e $STATE/manifest ] || die 3 "osModa is there from a tarball: give a tarball, or say --uninstall first"
  check_packages
  [ "$(dpkg-deb --field "$archive" Package)" = osmoda ] || die 4 "$archive is not osModa's"
  architecture=$(dpkg-deb --field "$archive" Architecture)
  [ "$architecture" = "$(dpkg --print-architecture)" ] || die 3 "this package is for $architecture"
  version=$(dpkg-deb --field "$archive" Version)
  before='' how=''
  if [ "$(package_state osmoda)" = installed ]; then
    before=$(package_version osmoda)
    if dpkg --compare-versions "$version" lt "$before"; then
      keep_version
      how=--allow-downgrades
    elif [ "$version" = "$before" ]; then
      dpkg-deb --info "$archive" md5sums >"$work/md5sums"
      if [ ! -e $STATE/unfinished ] && cmp -s "$work/md5sums" /var/lib/dpkg/info/osmoda.md5sums &&
        ! dpkg --verify osmoda | grep -qv ' c ' && [ -z "$(idle_units)" ]; then
        say "osModa $version is installed and runs; there is nothing to do."
        return
      fi
      how=--reinstall
    fi
  fi
  check_switches
  say "osModa $version${before:+, over $before}:"
  say "  apt-get installs${packages:+$packages and} $name"
  [ -z "$dry" ] || return 0
  begin install
  # shellcheck disable=SC2086
  install_packages $how $packages "$archive"
  wait_for_answer
}

install() {
  check_machine
  fetch
  if [ "$new" ]; then install_tarball; else install_package; fi
}

uninstall() {
  state=$(package_state osmoda)
  case $state in '' | not-installed) state='' ;; config-files) [ "$purge" ] || state='' ;; esac
  if [ -z "$state$purge" ] && [ ! -e $STATE/manifest ]; then
    say "osModa is not installed; there is nothing to do."
    return
  fi
  check_switches
  [ -z "$state" ] || check_packages
  say "osModa and what it runs are stopped; programs and units are taken away."
  say "${purge:+Not }kept: $DATA $PROFILE*" "Kept: the data of apps (/var/lib/osmoda-app-*), Nix (apt-get remove $NIX)"
  [ -z "$dry" ] || return 0
  units=$(sed -n 's,^usr/lib/systemd/system/,,p' $STATE/manifest 2>/dev/null || true)
  # Cut off and installed again, what was enabled is so again.
  # shellcheck disable=SC2046
  begin uninstall $(for unit in $units; do ! systemctl is-enabled --quiet "$unit" 2>/dev/null || echo "$unit"; done)
  # Both may be there. The package keeps its hands off what is kept as long as there is a manifest: that goes first.
  if [ -e $STATE/manifest ]; then
    # What can start apps goes first, and what stops them last: this may be cut off by a reboot.
    [ ! -x /usr/lib/osmoda/stop-all ] || /usr/lib/osmoda/stop-all
    rm -f /usr/lib/systemd/system-generators/osmoda-generator
    grep -vx usr/lib/osmoda/stop-all $STATE/manifest >"$work/gone" || true
    take_away <"$work/gone"
    rm -rf /usr/lib/osmoda /usr/share/doc/osmoda /run/osmoda
    systemctl daemon-reload
    systemctl reset-failed 'osmoda-*' 2>/dev/null || true
    sync -f /usr
    rm -f $STATE/manifest
  fi
  if [ "$state" ]; then
    mend_packages
    apt_get "$([ "$purge" ] && echo purge || echo remove)" osmoda
  fi
  # shellcheck disable=SC2086
  [ -z "$purge" ] || rm -rf $DATA $PROFILE $PROFILE.lock $PROFILE-*-link
  rm -f $STATE/unfinished
  say "osModa is uninstalled."
}

# --- NixOS ------------------------------------------------------------------------------------------------------------

# A file of its own, and the line that imports it: the rest of a system's configuration is its owner's to write.
install_nixos() {
  [ -z "$from$sha256$downgrade" ] || die 2 "on NixOS nothing is copied: no --from, --sha256, --allow-downgrade"
  [ -d /etc/nixos ] || die 3 "there is no /etc/nixos: import the module where your configuration is ($REPOSITORY)"
  # What was built with changes that are in no commit cannot be had from one.
  built=$(cat "$(dirname "$0")/usr/lib/osmoda/BUILDINFO" 2>/dev/null || true)
  commit=$(say "$built" | grep -q '^Changed:' || say "$built" | sed -n 's/^Commit: \([0-9a-f]\{40\}\)$/\1/p')
  source=${source:-${commit:+$REPOSITORY/archive/$commit.tar.gz}}
  case $source in
  *[!A-Za-z0-9/:._~%+-]*) die 2 "--source has characters that Nix would read otherwise" ;;
  https://*) module="builtins.fetchTarball \"$source\"" ;;
  /*) module="\"$source\"" && [ -e "$source/default.nix" ] || die 3 "$source has no default.nix of osModa's" ;;
  *) die 2 "say where osModa's sources are: --source with an absolute path, or an address with https of one commit" ;;
  esac
  file=/etc/nixos/osmoda.nix
  text="{ imports = [ (import ($module) { }).nixosModules.default ]; services.osmoda.enable = true; }"
  if [ -e /etc/nixos/flake.nix ]; then
    text="{ services.osmoda.enable = true; }"
    say "Add to /etc/nixos/flake.nix the input, and the modules to your system's:" \
      "  inputs.osmoda.url = \"$source\";" \
      "  modules = [ osmoda.nixosModules.default ./osmoda.nix ];"
    [ ! -e /etc/nixos/.git ] || say "A flake under git sees no other files: git -C /etc/nixos add osmoda.nix"
  else
    grep -qs '^[^#]*\./osmoda\.nix' /etc/nixos/configuration.nix ||
      say "Add to /etc/nixos/configuration.nix:" "  imports = [ ./osmoda.nix ];"
    say "It is built with <nixpkgs>, which has to have Rust 1.95 or newer (docs/nixos.md says how to give it another)."
  fi
  if [ -e $file ]; then
    say "There is $file already; it stays as it is."
  else
    say "Written: $file: $text"
    [ "$dry" ] || printf '# By install.sh of osModa; it is yours from now on.\n%s\n' "$text" >$file.new
    [ "$dry" ] || replace $file
  fi
  say "Then: nixos-rebuild switch"
}

uninstall_nixos() {
  say "Take osmoda.nix out of your configuration, run nixos-rebuild switch, and remove /etc/nixos/osmoda.nix." \
    "For good, with all that osModa keeps: rm -rf $DATA $PROFILE*"
}

# --- The whole --------------------------------------------------------------------------------------------------------

parse() {
  action=install from='' sha256='' source='' purge='' dry='' downgrade='' told='' mend='' work=
  while [ $# -gt 0 ]; do
    case $1 in
    --from | --sha256 | --source)
      [ $# -gt 1 ] || die 2 "$1 wants a value"
      [ "$1" != --from ] || from=$2
      [ "$1" != --sha256 ] || sha256=$(printf %s "$2" | tr A-F a-f)
      [ "$1" != --source ] || source=$2
      shift
      ;;
    --allow-downgrade) downgrade=yes ;;
    --uninstall | --convert) action=${1#--} ;;
    --purge) purge=yes ;;
    --dry-run) dry=yes ;;
    -h | --help) action=help ;;
    *) die 2 "$1 is not known; see --help" ;;
    esac
    shift
  done
  case $sha256 in *[!0-9a-f]*) die 2 "--sha256 is not a number in hexadecimal" ;; esac
  [ -z "$purge" ] || [ "$action" = uninstall ] || die 2 "--purge goes with --uninstall"
}

convert() {
  say "This machine is left as it is: turning a running system into another one may end with neither." \
    "To have NixOS on it, install it anew from another machine with nixos-anywhere, which erases its disks." \
    "Keep copies of $DATA and of the data of your apps, and put them back afterwards." \
    "On the other machine, in a new folder:" \
    "  nix flake init -t github:${REPOSITORY#https://github.com/}" \
    "  add the disks (with disko) and your ssh key: there is no other way in" \
    "  nix run github:nix-community/nixos-anywhere -- --flake .#osmoda-server root@HOST" \
    "Then bring the folder to /etc/nixos of the new machine: osModa builds the system from it, with every change."
}

# What is temporary goes; and what failed without a word is told.
leave() {
  status=$?
  [ -z "$work" ] || rm -rf "$work"
  [ "$dry" ] || rmdir $STATE 2>/dev/null || true
  if [ $status -ne 0 ] && [ -z "$told" ]; then
    say "install.sh: failed on the way. Run it again: it goes on where it was." >&2
    exit 1
  fi
}

main() {
  parse "$@"
  trap leave EXIT
  # None of these is called as a condition: the shell would go on after a step that fails in it.
  if [ "$action" = help ] || [ "$action" = convert ]; then
    "$action"
    return
  fi
  kind=$(system_kind /etc/os-release) || die 3 "$kind"
  [ "$dry" ] || [ "$(id -u)" = 0 ] || die 3 "run it as root (sudo sh install.sh ...)"
  if [ "$kind" = nixos ]; then
    "${action}_nixos"
    return
  fi
  [ -z "$source" ] || die 2 "--source is for NixOS"
  if [ "$dry" ]; then
    work=$(mktemp -d)
  else
    exec 9>/run/osmoda-installer.lock
    flock -n 9 || say "Another one is at work, or what it began: waiting."
    flock -w 600 9 || die 3 "it is still at work"
    mkdir -p $STATE
    work=$STATE/work
    rm -rf $work
    mkdir $work
  fi
  if [ "$action" = uninstall ]; then uninstall; else install; fi
}

main "$@"
