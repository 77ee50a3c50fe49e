# The part of nixpkgs' stdenv that NixOS's own modules call in their builders, with Debian's programs. Sourced by every
# builder of builders.nix.
set -e
shopt -s nullglob
export PATH=${path:+$path:}/usr/bin:/usr/sbin HOME=/homeless-shelter TZ=UTC LC_ALL=C.UTF-8
umask 0022

# What the build may run, and functions that it brings.
for input in $nativeBuildInputs $buildInputs; do
  [ -d "$input/bin" ] && PATH=$input/bin:$PATH
  [ -f "$input/nix-support/setup-hook" ] && . "$input/nix-support/setup-hook"
done

die() {
  echo "error: $*" >&2
  exit 1
}

runHook() {
  if declare -F "$1" >/dev/null; then "$1"; elif [ -n "${!1}" ]; then eval "${!1}"; fi
}

# substitute IN OUT (--replace|--replace-fail|--replace-warn|--replace-quiet A B | --subst-var NAME | --subst-var-by NAME V)...
substitute() {
  local input=$1 output=$2 content name
  shift 2
  [ -f "$input" ] || die "substitute: there is no file $input"
  content=$(cat "$input" && printf x)
  content=${content%x}
  while [ $# -gt 0 ]; do
    case $1 in
      --replace-fail)
        [[ $content == *"$2"* ]] || die "substitute: $input has no $2"
        content=${content//"$2"/"$3"}
        shift 3
        ;;
      --replace | --replace-warn | --replace-quiet)
        content=${content//"$2"/"$3"}
        shift 3
        ;;
      --subst-var)
        name=$2
        content=${content//"@$name@"/"${!name}"}
        shift 2
        ;;
      --subst-var-by)
        content=${content//"@$2@"/"$3"}
        shift 3
        ;;
      *) die "substitute: what is $1?" ;;
    esac
  done
  printf %s "$content" >"$output.new~"
  if [ -x "$input" ]; then chmod +x "$output.new~"; fi
  mv "$output.new~" "$output"
}

substituteInPlace() {
  local file files=()
  while [ $# -gt 0 ] && [ "${1:0:2}" != -- ]; do
    files+=("$1")
    shift
  done
  for file in "${files[@]}"; do substitute "$file" "$file" "$@"; done
}

# @name@ of every exported variable, as `substituteAll` of nixpkgs.
substituteAll() {
  local input=$1 output=$2 name arguments=()
  for name in $(compgen -e); do
    [[ $name =~ ^[a-z][a-zA-Z0-9_]*$ ]] && arguments+=(--subst-var "$name")
  done
  substitute "$input" "$output" "${arguments[@]}"
}

# makeWrapper PROGRAM WRAPPER [--set NAME VALUE | --prefix NAME SEPARATOR VALUE | --add-flags FLAGS]...
makeWrapper() {
  local program=$1 wrapper=$2 flags=
  shift 2
  mkdir -p "$(dirname "$wrapper")"
  echo "#!/bin/bash" >"$wrapper"
  while [ $# -gt 0 ]; do
    case $1 in
      --set | --set-default) printf 'export %s=%q\n' "$2" "$3" >>"$wrapper"; shift 3 ;;
      --prefix) printf 'export %s=%q${%s:+%q$%s}\n' "$2" "$4" "$2" "$3" "$2" >>"$wrapper"; shift 4 ;;
      --suffix) printf 'export %s=${%s:+$%s%q}%q\n' "$2" "$2" "$2" "$3" "$4" >>"$wrapper"; shift 4 ;;
      --add-flags) flags+=" $2"; shift 2 ;;
      *) die "makeWrapper: what is $1?" ;;
    esac
  done
  printf 'exec %q%s "$@"\n' "$program" "$flags" >>"$wrapper"
  chmod +x "$wrapper"
}

wrapProgram() {
  local program=$1 hidden
  shift
  hidden=$(dirname "$program")/.$(basename "$program")-wrapped
  mv "$program" "$hidden"
  makeWrapper "$hidden" "$program" "$@"
}

# Runs the derivation's own words: `buildCommand`, else the phases that it has.
if [ -n "$buildCommandPath" ]; then
  . "$buildCommandPath"
elif [ -n "$buildCommand" ]; then
  eval "$buildCommand"
else
  for phase in unpackPhase patchPhase configurePhase buildPhase installPhase; do runHook "$phase"; done
fi
[ -e "$out" ] || die "$name made nothing"
