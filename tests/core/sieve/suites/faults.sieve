require ["fileinto", "no-such-thing"];
frobnicate;
fileinto;
fileinto ["a", "b"];
else { keep; }
if header :contains :is "a" "b" { stop; }
if address "subject" "x" { stop; }
if size 10 { stop; }
if header :comparator "i;klingon" "a" "b" { stop; }
reject "needs require";
keep "too much";
