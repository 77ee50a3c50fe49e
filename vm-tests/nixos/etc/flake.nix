# This machine as a flake: `nixos.flake: /etc/nixos#osmoda`.
{
  outputs = _: { nixosConfigurations.osmoda = import ./system.nix; };
}
