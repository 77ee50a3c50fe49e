# Packages of which NixOS's modules want more than programs: versions, flags, settings, units of their own.
{
  lib,
  builders,
  debian,
  packages,
  release,
}:

let
  inherit (builders) runCommand writeShellScriptBin;
  inherit (debian) fromDebian absent;

  versions =
    {
      bookworm = {
        systemd = "252";
        nix = "2.8.0";
        perl = "5.36.0";
        python = "3.11";
        postgresql = "15.20";
        nginx = "1.22.1";
        redis = "7.0.15";
      };
      trixie = {
        systemd = "257";
        nix = "2.26.3";
        perl = "5.40.1";
        python = "3.13";
        postgresql = "17.12";
        nginx = "1.26.3";
        redis = "8.0.2";
      };
    }
    .${release};

  # Debian's interpreters find Debian's libraries wherever they are called from.
  perl = fromDebian "perl" {
    version = versions.perl;
    packages = [
      "perl"
      "perl-base"
    ];
    attributes = {
      interpreter = "${perl}/bin/perl";
      withPackages = _: perl;
    };
  };

  python3 = fromDebian "python3" {
    version = versions.python;
    packages = [
      "python3-minimal"
      "python${versions.python}-minimal"
    ];
    attributes = {
      interpreter = "${python3}/bin/python3";
      pythonVersion = versions.python;
      sitePackages = "lib/python3/dist-packages";
      withPackages = _: python3;
    };
  };

  postgresql = fromDebian "postgresql" {
    version = versions.postgresql;
    packages = [
      "postgresql-${postgresqlMajor}"
      "postgresql-client-${postgresqlMajor}"
    ];
    # Debian keeps the files of each version apart, and the server looks for its own beside itself.
    prefix = "/usr/lib/postgresql/${postgresqlMajor}";
    attributes = {
      psqlSchema = postgresqlMajor;
      withPackages = _: postgresql;
      withJIT = postgresql;
      withoutJIT = postgresql;
      pkgs = { };
    };
  };
  postgresqlMajor = lib.versions.major versions.postgresql;

  dbus = fromDebian "dbus" {
    version = "1.14";
    packages = [
      "dbus"
      "dbus-bin"
      "dbus-daemon"
      "dbus-session-bus-common"
      "dbus-system-bus-common"
    ];
    # Units as upstream has them; those of Debian name Debian's settings.
    postBuild = ''
      mkdir -p $out/libexec $out/lib/systemd/system $out/lib/systemd/user
      ln -s /usr/lib/dbus-1.0/dbus-daemon-launch-helper $out/libexec/
      for bus in system session; do
        folder=$out/lib/systemd/$bus address=/run/dbus/system_bus_socket name=System
        if [ $bus = session ]; then folder=$out/lib/systemd/user address=%t/bus name=User; fi
        cat >$folder/dbus.socket <<END
      [Unit]
      Description=D-Bus $name Message Bus Socket
      [Socket]
      ListenStream=$address
      END
        cat >$folder/dbus.service <<END
      [Unit]
      Description=D-Bus $name Message Bus
      Requires=dbus.socket
      [Service]
      Type=notify
      NotifyAccess=main
      ExecStart=/usr/bin/dbus-daemon --config-file=/etc/dbus-1/$bus.conf --address=systemd: --nofork --nopidfile --systemd-activation --syslog-only
      ExecReload=/usr/bin/dbus-send --print-reply --$bus --type=method_call --dest=org.freedesktop.DBus / org.freedesktop.DBus.ReloadConfig
      OOMScoreAdjust=-900
      END
      done
    '';
  };

  systemd = fromDebian "systemd" {
    version = versions.systemd;
    packages = [
      "libnss-systemd"
      "systemd"
      "systemd-sysv"
      "udev"
    ];
    # NixOS takes upstream's units one by one. The root keeps Debian's where systemd itself does not look for them.
    postBuild = ''
      mkdir -p $out/example/{sysctl.d,tmpfiles.d}
      ln -s /usr/share/debian/systemd $out/example/systemd
      for folder in sysctl.d tmpfiles.d; do
        for file in /usr/share/debian/$folder/*; do ln -s "$file" $out/example/$folder/; done
      done
      # Upstream has these; Debian leaves them out, or has them in packages of their own.
      for file in sysctl.d/{50-coredump,50-default}.conf tmpfiles.d/{portables,systemd-nspawn}.conf; do
        [ -e "$out/example/$file" ] || touch "$out/example/$file"
      done
    '';
    attributes = {
      interfaceVersion = 2;
      kbd = packages.kbd;
      util-linux = packages.util-linux;
    }
    # A part that is not compiled in has no units that NixOS would look for. Debian has most of them in packages of
    # their own.
    // lib.genAttrs (map (part: "with${part}") (
      lib.splitString " " (
        "AppArmor Audit Bootloader Coredump Cryptsetup Efi Fido2 Homed Hostnamed Importd Localed Machined Networkd Nss"
        + " Oomd PCRE2 Polkit Portabled Remote Repart Resolved Sysupdate Sysusers Timedated Timesyncd Tpm2Tss Vmspawn"
      )
    )) (_: false)
    // {
      withLogind = true;
      withKmod = true;
      # Debian 13 has it in a package of its own.
      withUtmp = release == "bookworm";
    };
  };

  # A container has the kernel of its host.
  linuxPackages =
    let
      asks = lib.splitString " " "isYes isNo isModule isEnabled isDisabled isSet";
      kernel = absent "linux" // {
        version = "6.1";
        modDirVersion = "6.1";
        config = lib.genAttrs asks (_: _: true);
        features = { };
      };
      all = {
        inherit kernel;
        stdenv.hostPlatform = lib.systems.elaborate "x86_64-linux";
        extend = change: all // change all all;
      };
    in
    all;
in
{
  inherit
    dbus
    perl
    postgresql
    python3
    systemd
    ;

  "postgresql_${postgresqlMajor}" = postgresql;
  python3Minimal = python3;
  python3Packages.python = python3;

  systemdMinimal = systemd;

  nix = fromDebian "nix" {
    version = versions.nix;
    packages = [ "nix-bin" ];
    postBuild = ''
      mkdir -p $out/lib/systemd/system $out/lib/tmpfiles.d
      ln -s /usr/share/debian/systemd/system/nix-daemon.* $out/lib/systemd/system/
      echo "d /nix/var/nix/daemon-socket 0755 root root - -" >$out/lib/tmpfiles.d/nix-daemon.conf
    '';
  };

  nginxStable = fromDebian "nginx" {
    version = versions.nginx;
    packages = [
      "nginx"
      "nginx-common"
    ];
    postBuild = ''
      mkdir -p $out/conf
      for file in mime.types fastcgi.conf fastcgi_params uwsgi_params; do
        ln -s /usr/share/debian/etc/nginx/$file $out/conf/
      done
    '';
    attributes.modules = [ ];
  };
  mailcap = runCommand "mailcap" { } ''
    mkdir -p $out/etc/nginx
    ln -s /usr/share/debian/etc/nginx/mime.types $out/etc/nginx/mime.types
  '';

  redis = fromDebian "redis" {
    version = versions.redis;
    packages = [
      "redis-server"
      "redis-tools"
    ];
  };

  # The bus as Debian sets it up, with the folders that NixOS adds.
  makeDBusConf =
    {
      suidHelper,
      serviceDirectories,
      apparmor ? "disabled",
    }:
    runCommand "dbus-1" { inherit suidHelper serviceDirectories; } ''
      mkdir $out
      for bus in system session; do
        {
          sed -e '/<includedir>/d; /<include /d; /<servicedir>/d; /<standard_.*_servicedirs/d' \
            -e "s,<servicehelper>.*</servicehelper>,<servicehelper>$suidHelper</servicehelper>," -e '/<\/busconfig>/d' \
            /usr/share/dbus-1/$bus.conf
          for folder in $serviceDirectories; do
            if [ $bus = system ]; then services=system-services; else services=services; fi
            echo "<servicedir>$folder/share/dbus-1/$services</servicedir>"
            echo "<includedir>$folder/etc/dbus-1/$bus.d</includedir>"
            echo "<includedir>$folder/share/dbus-1/$bus.d</includedir>"
          done
          echo '</busconfig>'
        } >$out/$bus.conf
      done
    '';

  inherit linuxPackages;
  linuxPackages_latest = linuxPackages;

  libxcrypt = absent "libxcrypt" // {
    enabledCryptSchemeIds = lib.splitString " " "y gy 7 2b 2y 2a 6";
  };

  # C.UTF-8 needs no archive, and no test speaks another language.
  glibcLocales = runCommand "glibc-locales" { } "mkdir -p $out/lib/locale";

  xorg = lib.genAttrs (lib.splitString " " "xauth xorgserver setxkbmap xkeyboardconfig") absent // {
    lndir = fromDebian "lndir" {
      packages = [ ];
      programs = [ "lndir" ];
    };
  };

  unixtools = lib.genAttrs (lib.splitString " " "ifconfig netstat ping route xxd") absent;

  writers = {
    writeBash = builders.writeShellScript;
    writeBashBin = writeShellScriptBin;
    writeDash = builders.writeShellScript;
    writeNginxConfig = builders.writeText;
  };

  makeWrapper = builders.writeTextDir "nix-support/setup-hook" "";
}
