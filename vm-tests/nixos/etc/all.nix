# All that this machine is, but for its packages. What a test adds goes to configuration.nix; osmoda.nix is there when
# osModa is.
{
  imports = [
    ./configuration.nix
  ]
  ++ (
    if builtins.pathExists ./osmoda.nix then
      [
        ./source/modules
        ./osmoda.nix
      ]
    else
      [ ]
  );
}
