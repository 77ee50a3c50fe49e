# Whether a tree of nixpkgs has packages, too.
nixpkgs: builtins.pathExists (nixpkgs + "/pkgs/top-level")
