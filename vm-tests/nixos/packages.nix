# Packages of Debian as packages of Nix: what dpkg lists of a Debian package, linked to where nixpkgs has it.
{
  lib,
  builders,
  release,
}:

let
  inherit (builders) decorate runCommand;

  # Of $packages, which are Debian's, every file; a tree below $prefix becomes the package itself. What is built here is links, so nothing is
  # copied, and a package that is not in the root is an error of the build, not of the evaluation.
  fromDebian =
    pname:
    {
      version ? "0",
      packages ? [ pname ],
      programs ? [ ],
      prefix ? "",
      postBuild ? "",
      attributes ? { },
    }:
    let
      drv = runCommand "${pname}-${version}" { inherit packages prefix programs; } ''
        mkdir -p "$out/bin"
        ln -s bin "$out/sbin"
        for package in $packages; do
          list=
          for candidate in /var/lib/dpkg/info/{"$package","$package":*}.list; do
            [ -e "$candidate" ] && list=$candidate
          done
          [ -n "$list" ] || die "the Debian package $package, which stands for $name, is not installed in this root"
          # Debian 12 still lists files of /usr as they were before the merge.
          sed -E 's,^/(bin|sbin|lib|lib64)/,/usr/\1/,' "$list" | while IFS= read -r file; do
            [[ -d $file && ! -L $file ]] && continue
            [[ -e $file || -L $file ]] || continue
            if [ -n "$prefix" ] && [ "''${file#"$prefix/"}" != "$file" ]; then
              target=''${file#"$prefix/"}
            else
              case $file in
                /usr/share/doc/* | /usr/share/locale/* | /usr/share/lintian/* | /usr/share/bug/*) continue ;;
                # Units and settings that Debian's packages bring would be those of the whole system.
                /usr/lib/systemd/system/* | /usr/lib/systemd/user/* | /usr/lib/udev/* | /usr/lib/*.d/*) continue ;;
                /usr/sbin/*) target=bin/''${file#/usr/sbin/} ;;
                /usr/*) target=''${file#/usr/} ;;
                *) continue ;;
              esac
            fi
            printf '%s\0%s\0' "$file" "$out/$target"
          done
        done | perl ${./link.pl} pairs
        # Those that are alternatives, which no package lists.
        for program in $programs; do
          [ -e "/usr/bin/$program" ] || die "$name has no /usr/bin/$program in this root"
          ln -sfn "/usr/bin/$program" "$out/bin/$program"
        done
        ${postBuild}
      '';
    in
    decorate drv ({ inherit pname version; } // attributes);

  # For evaluation alone: no program that a machine of the tests needs. A system's path goes without it; any other use
  # fails when it is built.
  absent =
    pname:
    decorate (runCommand pname { } ''
      die "$name is not among the packages of vm-tests/nixos: evaluate with it, but do not build it"
    '') {
      inherit pname;
      version = "0";
      isAbsent = true;
      meta.platforms = [ ];
    };
in
{
  inherit fromDebian absent;

  # Packages that are just what Debian has, by nixpkgs' name.
  plain = lib.mapAttrs fromDebian {
    acl = { };
    attr = { };
    bash = { attributes.shellPath = "/bin/bash"; programs = [ "sh" ]; };
    bashInteractive = { packages = [ "bash" ]; attributes.shellPath = "/bin/bash"; programs = [ "sh" ]; };
    bash-completion = { };
    bzip2 = { };
    cacert = {
      packages = [ ];
      postBuild = ''
        mkdir -p "$out/etc/ssl/certs" "$out/etc/ssl/trust-source"
        for name in ca-bundle ca-certificates; do
          ln -s /usr/share/debian/etc/ssl/certs/ca-certificates.crt "$out/etc/ssl/certs/$name.crt"
        done
      '';
    };
    coreutils = { };
    coreutils-full = { packages = [ "coreutils" ]; };
    cpio = { };
    curl = { };
    dash = { attributes.shellPath = "/bin/dash"; };
    diffutils = { };
    dosfstools = { };
    e2fsprogs = { };
    file = { };
    findutils = { };
    fuse = { packages = [ "fuse3" ]; };
    fuse3 = { };
    gawk = { programs = [ "awk" ]; };
    getconf = { packages = [ ]; programs = [ "getconf" ]; };
    getent = { packages = [ ]; programs = [ "getent" ]; };
    git = { };
    # Activation tells nscd of new users, if there is one.
    glibc = { packages = [ "libc6" "libc-bin" ]; postBuild = "ln -s /usr/bin/true $out/bin/nscd"; };
    gnugrep = { packages = [ "grep" ]; };
    gnupatch = { packages = [ "patch" ]; };
    gnused = { packages = [ "sed" ]; };
    gnutar = { packages = [ "tar" ]; };
    gzip = { };

    iana-etc = {
      packages = [ "netbase" ];
      postBuild = ''
        mkdir -p "$out/etc"
        ln -s /usr/share/debian/etc/{protocols,services} "$out/etc/"
      '';
    };
    iproute2 = { };
    iputils = { packages = [ "iputils-ping" ]; };
    jq = { };
    kbd = { };
    kmod = { };
    less = { };
    libcap = { packages = [ "libcap2-bin" ]; };
    pam = { packages = [ "libpam-modules" "libpam-modules-bin" "libpam0g" ]; postBuild = ''
      mkdir -p "$out/lib/security"
      for module in /usr/lib/*/security/pam_*.so; do ln -sfn "$module" "$out/lib/security/"; done
    ''; };
    logrotate = { };
    mkpasswd = { packages = [ "whois" ]; };
    nano = { };
    ncurses = { packages = [ "ncurses-bin" "ncurses-base" ]; };
    nettools = { packages = [ "hostname" ]; };
    netcat = { packages = [ "netcat-openbsd" ]; programs = [ "nc" ]; };
    openssh = { packages = [ "openssh-client" ]; };
    openssl = { };
    procps = { };
    rsync = { };
    shadow = { packages = [ "passwd" "login" ]; programs = [ "su" ]; attributes.shellPath = "/bin/sh"; };
    sqlite = { packages = [ "sqlite3" ]; };
    su = { packages = [ ]; programs = [ "su" ]; };
    time = { };
    tzdata = { };
    util-linux = { packages = [ "util-linux" "mount" "bsdutils" "util-linux-extra" ]; programs = [ "su" ]; };
    util-linuxMinimal = { packages = [ "util-linux" "mount" "bsdutils" "util-linux-extra" ]; };
    which = { packages = [ "debianutils" ]; programs = [ "which" ]; };
    xz = { packages = [ "xz-utils" ]; programs = [ "xz" ]; };
    zstd = { };
    bubblewrap = { };
  };
}
