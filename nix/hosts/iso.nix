# An installer with a server to start from in /etc/osmoda-server. It installs what one tells it, and nothing by itself.
{ config, modulesPath, ... }:

{
  imports = [ "${modulesPath}/installer/cd-dvd/installation-cd-minimal.nix" ];

  networking.hostName = "osmoda-iso";
  nix.settings.experimental-features = [
    "nix-command"
    "flakes"
  ];

  # The command line alone, to look at documents with; the daemons come with the system that is installed.
  environment.systemPackages = [ config.services.osmoda.package ];
  environment.etc."osmoda-server".source = ../template;

  services.getty.helpLine = ''

    To install a server: make the file systems `nixos` (ext4) and `boot` (vfat), mount them below /mnt, then

      mkdir -p /mnt/etc
      cp -rL --no-preserve=mode /etc/osmoda-server /mnt/etc/nixos
      nixos-generate-config --root /mnt
      nano /mnt/etc/nixos/configuration.nix     # the name of the machine, and an ssh key
      nixos-install --flake /mnt/etc/nixos#osmoda-server
  '';
}
