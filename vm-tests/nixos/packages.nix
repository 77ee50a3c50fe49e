# Packages that are just what Debian has. Those that NixOS's modules know more about are in services.nix.
{ lib, debian }:

let
  inherit (debian) fromDebian;

  words = text: lib.filter (word: word != "") (lib.splitString " " text);

  # nixpkgs' name, and those of Debian's packages.
  packages = lib.mapAttrs (name: list: fromDebian name { packages = words list; }) {
    acl = "acl";
    attr = "attr";
    bubblewrap = "bubblewrap";
    bzip2 = "bzip2";
    coreutils = "coreutils";
    coreutils-full = "coreutils";
    cpio = "cpio";
    curl = "curl";
    diffutils = "diffutils";
    dosfstools = "dosfstools";
    e2fsprogs = "e2fsprogs";
    findutils = "findutils";
    fuse = "fuse3";
    fuse3 = "fuse3";
    git = "git";
    gitMinimal = "git";
    gnugrep = "grep";
    gnupatch = "patch";
    gnused = "sed";
    gnutar = "tar";
    gzip = "gzip";
    iproute2 = "iproute2";
    iputils = "iputils-ping";
    jq = "jq";
    kbd = "kbd";
    kmod = "kmod";
    less = "less";
    libcap = "libcap2-bin";
    logrotate = "logrotate";
    mkpasswd = "whois";
    ncurses = "ncurses-bin ncurses-base";
    nettools = "hostname";
    openssh = "openssh-client";
    openssl = "openssl";
    procps = "procps";
    sqlite = "sqlite3";
    time = "time";
    tzdata = "tzdata";
    zstd = "zstd";
  };

  # As above, with programs that are Debian's alternatives, or of packages that have much else.
  programs =
    lib.mapAttrs
      (
        name: lists:
        fromDebian name {
          packages = words lists.of;
          programs = words lists."with";
        }
      )
      {
        gawk = {
          of = "gawk";
          "with" = "awk";
        };
        getconf = {
          of = "";
          "with" = "getconf";
        };
        getent = {
          of = "";
          "with" = "getent";
        };
        netcat = {
          of = "netcat-openbsd";
          "with" = "nc";
        };
        su = {
          of = "";
          "with" = "su";
        };
        which = {
          of = "debianutils";
          "with" = "which";
        };
        xz = {
          of = "xz-utils";
          "with" = "xz";
        };
      };

  utilLinux =
    name:
    fromDebian name {
      packages = words "util-linux mount bsdutils util-linux-extra";
      programs = [ "su" ];
    };

  shell =
    name: package:
    fromDebian name {
      packages = [ package ];
      programs = [ "sh" ];
      attributes.shellPath = "/bin/${package}";
    };

  pam = fromDebian "linux-pam" {
    packages = words "libpam-modules libpam-modules-bin libpam0g libpam-systemd";
    postBuild = ''
      mkdir -p "$out/lib/security"
      for module in /usr/lib/*/security/pam_*.so; do ln -sfn "$module" "$out/lib/security/"; done
    '';
  };

  shadow = fromDebian "shadow" {
    packages = words "passwd login";
    programs = [ "su" ];
    attributes = {
      shellPath = "/bin/sh";
      su = shadow;
    };
  };

  cacert = fromDebian "cacert" {
    packages = [ ];
    postBuild = ''
      mkdir -p "$out/etc/ssl/certs" "$out/etc/ssl/trust-source"
      for name in ca-bundle ca-certificates; do
        ln -s /usr/share/debian/etc/ssl/certs/ca-certificates.crt "$out/etc/ssl/certs/$name.crt"
      done
    '';
    attributes.p11kit = cacert;
  };
in
packages
// programs
// {
  inherit cacert pam shadow;
  linux-pam = pam;
  bash = shell "bash" "bash";
  bashInteractive = shell "bash-interactive" "bash";
  dash = shell "dash" "dash";
  util-linux = utilLinux "util-linux";
  util-linuxMinimal = utilLinux "util-linux-minimal";

  glibc = fromDebian "glibc" {
    packages = words "libc6 libc-bin";
    # Activation tells nscd of new users, if there is one.
    postBuild = "ln -s /usr/bin/true $out/bin/nscd";
  };

  iana-etc = fromDebian "iana-etc" {
    packages = [ "netbase" ];
    postBuild = ''
      mkdir -p "$out/etc"
      ln -s /usr/share/debian/etc/{protocols,services} "$out/etc/"
    '';
  };
}
