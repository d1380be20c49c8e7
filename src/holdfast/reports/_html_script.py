"""What the HTML report can do with scripts allowed. Everything is readable and every link works without."""

SCRIPT = """
(function(){
"use strict";
var root=document.documentElement,list=document.querySelector(".list"),all=list?[].slice.call(list.children):[];
root.classList.add("js");
var search=document.getElementById("q"),shown=document.getElementById("shown");
function count(){
 if(!shown)return;
 var n=all.filter(function(item){return getComputedStyle(item).display!=="none"}).length;
 shown.textContent=shown.dataset.text.replace("{count}",n);
}
if(search)search.addEventListener("input",function(){
 var words=search.value.toLowerCase().split(/\\s+/).filter(Boolean);
 all.forEach(function(item){
  var text=item.dataset.find;
  item.classList.toggle("off",!words.every(function(word){return text.indexOf(word)>=0}));
 });
 count();
});
[].forEach.call(document.querySelectorAll(".filter input"),function(input){input.addEventListener("change",count)});
function each(open){
 all.forEach(function(item){
  var details=item.querySelector("details");
  if(details&&getComputedStyle(item).display!=="none")details.open=open;
 });
}
var more=document.getElementById("open"),less=document.getElementById("close");
if(more)more.addEventListener("click",function(){each(true)});
if(less)less.addEventListener("click",function(){each(false)});
function go(){
 var target=location.hash&&document.getElementById(decodeURIComponent(location.hash.slice(1)));
 if(!target)return;
 for(var box=target;box;box=box.parentElement){
  if(box.tagName==="DETAILS")box.open=true;
  if(box.classList.contains("off"))box.classList.remove("off");
 }
 var item=target.closest(".list>li"),everything=document.getElementById("f-all");
 if(item&&everything&&getComputedStyle(item).display==="none"){everything.checked=true;count()}
 target.scrollIntoView();
 var heading=target.closest("details");
 if(heading)heading.querySelector("summary").focus({preventScroll:true});
}
addEventListener("hashchange",go);go();
var closed=[];
addEventListener("beforeprint",function(){
 closed=[].filter.call(document.querySelectorAll("details"),function(box){return !box.open});
 closed.forEach(function(box){box.open=true});
});
addEventListener("afterprint",function(){closed.forEach(function(box){box.open=false})});
var svg=document.querySelector("svg");
if(svg)[].forEach.call(svg.querySelectorAll("[data-group]"),function(node){
 var edges=svg.querySelectorAll(".edge."+node.dataset.group);
 function light(on){
  svg.classList.toggle("lit",on);
  [].forEach.call(edges,function(edge){edge.classList.toggle("on",on)});
 }
 ["mouseenter","focus"].forEach(function(name){node.addEventListener(name,function(){light(true)})});
 ["mouseleave","blur"].forEach(function(name){node.addEventListener(name,function(){light(false)})});
});
count();
})();
"""
