# A server that osModa looks after: every change is a generation of NixOS, and the firewall lets nobody in but ssh. As a
# module, `nixosModules.server`, it is what the template of this flake builds on; disks and keys are the machine's own.
{ lib, ... }:

{
  networking.hostName = lib.mkDefault "osmoda-server";

  fileSystems = lib.mkDefault {
    "/" = {
      device = "/dev/disk/by-label/nixos";
      fsType = "ext4";
    };
    "/boot" = {
      device = "/dev/disk/by-label/boot";
      fsType = "vfat";
      options = [ "umask=0077" ];
    };
  };

  boot.loader = {
    systemd-boot = {
      enable = lib.mkDefault true;
      # Each committed change is a generation: without a limit their kernels fill /boot.
      configurationLimit = lib.mkDefault 20;
    };
    efi.canTouchEfiVariables = lib.mkDefault true;
  };

  services.openssh = {
    enable = lib.mkDefault true;
    settings = {
      PasswordAuthentication = lib.mkDefault false;
      KbdInteractiveAuthentication = lib.mkDefault false;
      PermitRootLogin = lib.mkDefault "prohibit-password";
    };
  };
  networking.firewall.enable = lib.mkDefault true;

  nix.settings.experimental-features = [
    "nix-command"
    "flakes"
  ];

  services.osmoda = {
    enable = true;
    backend = lib.mkDefault "nixos";
    nixos.flake = lib.mkDefault "/etc/nixos";
  };

  system.stateVersion = lib.mkDefault lib.trivial.release;
}
