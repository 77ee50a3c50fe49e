# What is different on a NixOS whose packages are Debian's files, and which runs in a container of systemd-nspawn.
{ config, lib, pkgs, ... }:

{
  boot.isContainer = true;
  nixpkgs.hostPlatform = pkgs.stdenv.hostPlatform.system;
  networking.hostName = "osmoda";
  system.stateVersion = lib.trivial.release;
  system.switch = {
    enable = true;
    enableNg = false;
  };

  i18n.defaultLocale = "C.UTF-8";
  documentation.enable = false;
  fonts.fontconfig.enable = false;
  networking.firewall.enable = false;
  networking.resolvconf.enable = false;
  networking.useDHCP = false;
  nix.enable = false;
  programs.less.lessopen = null;
  programs.command-not-found.enable = false;
  security.sudo.enable = false;
  services.nscd.enable = false;
  system.nssModules = lib.mkForce [ ];
  xdg = lib.genAttrs [ "autostart" "icons" "menus" "mime" "sounds" ] (_: { enable = false; });

  # Programs of Debian stand where they always stood, /usr/bin/env and /bin/sh with them.
  environment.usrbinenv = null;
  environment.stub-ld.enable = false;
  environment.ldso = "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";
  system.activationScripts.binsh = lib.mkForce "";
  # The wrappers are compiled programs, and nobody in a test needs more rights than he has.
  security.wrappers = lib.mkForce { };

  # The one that Debian has, whatever the version of the state asks for.
  services.postgresql.package = lib.mkOverride 999 pkgs.postgresql;

  # Units that this systemd does not have yet.
  systemd.suppressedSystemUnits = lib.optionals (lib.versionOlder pkgs.systemd.version "256") [
    "systemd-bootctl@.service"
    "systemd-bootctl.socket"
    "systemd-creds@.service"
    "systemd-creds.socket"
    "systemd-hibernate-clear.service"
    "systemd-tmpfiles-setup-dev-early.service"
  ];
}
