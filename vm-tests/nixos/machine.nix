# What is different on a NixOS whose packages are Debian's files, and which runs in a container of systemd-nspawn.
{
  config,
  lib,
  pkgs,
  ...
}:

{
  boot.isContainer = true;
  nixpkgs.hostPlatform = pkgs.stdenv.hostPlatform.system;
  networking.hostName = "osmoda";
  system.stateVersion = lib.trivial.release;
  system.switch = {
    enable = true;
    enableNg = false;
  };

  # The packages are links to files of the root, which a sandbox would not have; there is nowhere to download from.
  nix.nrBuildUsers = 4;
  nix.channel.enable = false;
  nix.settings = {
    sandbox = false;
    substituters = lib.mkForce [ ];
    experimental-features = [
      "nix-command"
      "flakes"
    ];
  };

  i18n.defaultLocale = "C.UTF-8";
  boot.enableContainers = false;
  documentation.enable = false;
  fonts.fontconfig.enable = false;
  networking.firewall.enable = false;
  networking.resolvconf.enable = false;
  networking.useDHCP = false;
  programs.bash.completion.enable = false;
  programs.nano.enable = false;
  programs.less.lessopen = null;
  programs.command-not-found.enable = false;
  security.sudo.enable = false;
  services.nscd.enable = false;
  security.pam.services.su.forwardXAuth = lib.mkForce false;
  systemd.shutdownRamfs.enable = false;
  system.disableInstallerTools = true;
  system.nssModules = lib.mkForce [ ];
  xdg = lib.genAttrs [ "autostart" "icons" "menus" "mime" "sounds" ] (_: {
    enable = false;
  });

  # Programs of Debian stand where they always stood, /usr/bin/env and /bin/sh with them.
  environment.defaultPackages = [ ];
  environment.stub-ld.enable = false;
  environment.ldso = "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";
  system.activationScripts = {
    binsh = lib.mkForce "";
    usrbinenv = lib.mkForce "";
  };
  # The wrappers are compiled programs, and nobody in a test needs more rights than he has.
  security.wrappers = lib.mkForce { };

  # The one that Debian has, whatever the version of the state asks for.
  services.postgresql.package = lib.mkOverride 999 pkgs.postgresql;

  # Compiled into Debian's are folders that the unit may not write to.
  services.nginx.commonHttpConfig =
    lib.concatMapStrings (name: "${name}_temp_path /var/cache/nginx/${name};\n")
      [
        "client_body"
        "proxy"
        "fastcgi"
        "uwsgi"
        "scgi"
      ];

  # Asked to keep the kernel from auditing, it would need auditctl.
  systemd.services.audit.enable = false;

  # What Debian has in packages of its own, or leaves out...
  systemd.oomd.enable = false;
  systemd.coredump.enable = false;
  systemd.suppressedSystemUnits = [
    "systemd-bootctl@.service"
    "systemd-bootctl.socket"
    "systemd-nspawn@.service"
    "systemd-vconsole-setup.service"
  ]
  # ... and units that its systemd does not have yet.
  ++ lib.optionals (lib.versionOlder pkgs.systemd.version "256") [
    "systemd-creds@.service"
    "systemd-creds.socket"
    "systemd-growfs@.service"
    "systemd-growfs-root.service"
    "systemd-hibernate-clear.service"
    "systemd-journal-catalog-update.service"
    "systemd-journald-sync@.service"
    "systemd-tmpfiles-setup-dev-early.service"
    "systemd-update-done.service"
  ];
}
