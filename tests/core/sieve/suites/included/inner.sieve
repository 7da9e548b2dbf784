require ["include", "variables"];
global ["shared"];
set "mine" "inner";
if string "${shared}" "given" { set "shared" "returned"; }
return;
discard;
