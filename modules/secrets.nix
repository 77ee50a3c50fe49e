# Secrets are named by a path or a credential, and never are in the store, which every user may read.
{ config, lib, ... }:

let
  cfg = config.services.osmoda;
  # A path literal is copied there when the document is written.
  inStore = path: builtins.isPath path || lib.hasPrefix "${builtins.storeDir}/" (toString path);
  refuse = place: path: {
    assertion = !inStore path;
    message = ''
      ${place}: ${toString path} is in the Nix store or would be copied to it, and every user may read what is there. Write
      the path of a file outside of it as a string, such as "/run/keys/token", or use a credential.
    '';
  };
  ofObject =
    kind: name: object:
    lib.mapAttrsToList (
      secret: source:
      refuse "services.osmoda.desired.${kind}.${name}.secrets.${secret}" (source.file or "")
    ) (object.spec.secrets or { });
  ofKind = kind: objects: lib.concatLists (lib.mapAttrsToList (ofObject kind) objects);
in
{
  config = lib.mkIf cfg.enable {
    assertions =
      lib.concatLists (lib.mapAttrsToList ofKind cfg.desired)
      ++ [ (refuse "services.osmoda.keyd.passphraseFile" cfg.keyd.passphraseFile) ]
      ++ lib.concatMap (
        author: map (refuse "services.osmoda.authors, user ${toString author.user}, secrets") author.secrets
      ) cfg.authors;
  };
}
