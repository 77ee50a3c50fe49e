# The ledger survives a power cut, and tells when somebody changed it.
{ story, ... }:

{
  name = "osmoda-ledger";
  nodes.machine = { };
  testScript = story "ledger" { };
}
