# The operator's own system, evaluated: a set with `config`, `options`, `pkgs` and `extendModules`.
#
# One of these says where it is described (`nixos` in /etc/osmoda/agentd.yaml):
#   flake, host     a flake reference, and a name below its `nixosConfigurations`
#   configuration   a NixOS module; evaluated with `nixpkgs`, or else <nixpkgs>
#   system          a Nix file whose value is such a set, or a function of optional arguments that gives one
{
  flake ? null,
  host ? null,
  configuration ? null,
  nixpkgs ? null,
  system ? null,
}:
if flake != null then
  let
    systems = (builtins.getFlake flake).nixosConfigurations;
  in
  systems.${host}
    or (throw "flake `${flake}` has no nixosConfigurations.${host}; it has: ${toString (builtins.attrNames systems)}")
else if system != null then
  let
    value = import (/. + system);
  in
  if builtins.isFunction value then value { } else value
else
  let
    tree = if nixpkgs == null then <nixpkgs> else /. + nixpkgs;
  in
  import (tree + "/nixos/lib/eval-config.nix") {
    lib = import (tree + "/lib");
    modules = [ (/. + configuration) ];
  }
